"""Runs the rows of the table of results, each a result of the field.

  ./scripts/reproduce
  ./scripts/reproduce --only=latch,cliff --size=smoke --out=out/rows
  ./scripts/reproduce --check

A row is stored in experiments/reference/NAME once all of it has succeeded, and not
before; one that is there already, with the same configuration, size and code, is left
alone, so that an interrupted run goes on where it was. Then ./scripts/results writes
docs/results.md. --check stores nothing: it runs the smoke sizes and compares their
criteria with those of the stored records.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from experiments.common import cli, environment, records, rows
from experiments.common.cli import ConfigError, option
from experiments.common.rows import Check
from scripts import results
from scripts.row_processes import Ended, run_all

ROWS = rows.modules()
RUN, STORED, KEPT = "run", "stored", "kept"


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is run; every field is a flag."""

    only: tuple[str, ...] | None = option(
        None, cli.optional(cli.list_of(cli.one_of(ROWS))), "rows (all if not given)"
    )
    size: str | None = option(
        None,
        cli.optional(cli.one_of(rows.SIZES)),
        "smoke takes seconds, standard minutes and meets the criteria, paper has all "
        f"seeds and lengths ({rows.STANDARD} if not given)",
    )
    replace: bool = option(
        False,
        cli.switch(),
        "replaces stored records of another configuration or size too",
    )
    check: bool = option(
        False, cli.switch(), "runs smoke sizes and compares; stores nothing"
    )
    out: str = option(
        str(results.REFERENCE), cli.text(), "folder of the stored records"
    )

    def __post_init__(self) -> None:
        """Checks each field, and those that exclude one another."""
        super().__post_init__()
        if self.check and (self.size not in (None, "smoke") or self.replace):
            given = "replace" if self.replace else f"size={self.size}"
            raise ConfigError(
                f"check: got it with --{given}; it must be alone, as it runs smoke "
                "sizes and stores nothing"
            )

    @property
    def names(self) -> list[str]:
        """The rows that are run, in the order of the table."""
        return [name for name in ROWS if self.only is None or name in self.only]


class Plan(NamedTuple):
    """What becomes of a row: RUN, STORED already or another KEPT; and why, in words."""

    what: str
    why: str


def plan(folder: Path, size: str, config: Any, code: str, replace: bool) -> Plan:
    """Returns what to do about a row at a size, given what its folder holds."""
    if not records.is_in(folder):
        return Plan(RUN, "it isn't stored yet")
    record = records.load(folder)
    there, asked = rows.size_of(record), rows.is_of(record, config)
    if there == size and asked:
        if record.made["code"] == code:
            return Plan(STORED, f"made {record.made['date'][:10]} by this code")
        return Plan(RUN, "the stored one is of other code")
    if replace:
        return Plan(RUN, "it replaces another record")
    what = f"size {there or 'unknown'}" + ("" if asked else ", another configuration")
    return Plan(KEPT, f"{folder} holds a record of {what}; --replace replaces it")


def reproduce(config: Config) -> int:
    """Runs what isn't stored yet and writes the table; returns the exit status."""
    size, out, code = config.size or rows.STANDARD, Path(config.out), environment.code()
    plans = {
        name: plan(
            out / name, size, rows.config_of(ROWS[name], size), code, config.replace
        )
        for name in config.names
    }
    for name, (what, why) in plans.items():
        if what != RUN:
            say(f"{name}, {size}: {what}, not run: {why}")
    wanted = [name for name, (what, _) in plans.items() if what == RUN]
    failed = [ended.name for ended in ran(wanted, size, out) if ended.error]
    kept = [name for name, (what, _) in plans.items() if what == KEPT]
    for what, which in (("failed", failed), ("kept", kept)):
        if which:
            say(f"{what}: {', '.join(which)}")
    if out.resolve() == results.REFERENCE.resolve():
        results.main([])
    return 1 if failed or kept else 0


def ran(names: Sequence[str], size: str, out: Path) -> list[Ended]:
    """Runs rows side by side, says how each ended, and returns that."""
    ended = []
    for one in run_all(names, size, out, say):
        ended.append(one)
        say(f"{one.name}, {size}: {told(one)}  ({len(ended)} of {len(names)} rows)")
    return ended


def told(ended: Ended) -> str:
    """Returns how a row ended, in words."""
    if ended.error:
        return f"failed after {ended.seconds:.0f} s, nothing was stored: {ended.error}"
    found = rows.verdict(ROWS[ended.name].ROW, ended.checks)
    return (
        f"done in {ended.seconds:.0f} s: {found}, criteria that hold: "
        f"{rows.tally(ended.checks)}{missed(ended.checks)}"
    )


def missed(checks: Sequence[Check]) -> str:
    """Returns the criteria that don't hold, in words."""
    failing = [
        f"{check.what}: {check.ours}" for check in checks if check.holds is False
    ]
    return "; not: " + "; ".join(failing) if failing else ""


def check(config: Config) -> int:
    """Runs smoke sizes and compares their criteria; returns the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        ended = ran(config.names, "smoke", Path(folder))
    agree = [not one.error and compared(one, Path(config.out)) for one in ended]
    return 0 if all(agree) else 1


def compared(ended: Ended, out: Path) -> bool:
    """Says how a smoke run compares with the stored record; returns if they agree.

    A criterion that holds in one of them must hold in the other, if it has it.
    """
    row = ROWS[ended.name].ROW
    smoke = _asked(ended.checks)
    try:
        stored = stored_checks(row, out / ended.name)
    except ConfigError as error:
        say(f"{ended.name}: {error}")
        return False
    if stored is None:
        say(f"{ended.name}: no record of a size of this row is stored to compare with")
        return all(smoke.values())
    both = {what: h for what, h in _asked(stored).items() if what in smoke}
    apart = [what for what, holds in both.items() if holds != smoke[what]]
    said = f"; they differ in: {'; '.join(apart)}" if apart else ""
    say(f"{ended.name}: {len(both)} criteria compared with the stored record{said}")
    return not apart and all(smoke.values())


def _asked(checks: Sequence[Check]) -> dict[str, bool]:
    """Returns whether each criterion holds, by its sentence."""
    return {check.what: check.holds for check in checks if check.holds is not None}


def stored_checks(row: rows.Row, folder: Path) -> Sequence[Check] | None:
    """Returns the criteria of a stored record; None if there is none of this row."""
    if not (folder / "record.json").exists():
        return None
    record = records.load(folder)
    return rows.checked(record, row, folder) if rows.size_of(record) else None


def say(line: str) -> None:
    """Prints a line of progress at once."""
    print(line, file=sys.stderr, flush=True)


def main(config: Config) -> None:
    """Runs or checks the rows, and ends with the exit status."""
    start = time.monotonic()
    try:
        status = check(config) if config.check else reproduce(config)
    except KeyboardInterrupt:
        again = "nothing was stored" if config.check else "the same command goes on"
        cli.stop(f"interrupted; finished rows are kept, and {again}", cli.INTERRUPTED)
    say(f"{len(config.names)} rows in {time.monotonic() - start:.0f} s")
    sys.exit(status)


if __name__ == "__main__":
    cli.begin(Config, main)
