"""The sweep as one call, its record and its figure."""

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from matplotlib.figure import Figure

from experiments.common import cli, records
from experiments.common.lock import alone_in
from experiments.common.progress import Advance, progress
from experiments.common.records import Quantity, Record
from experiments.sweep import figure, store
from experiments.sweep.config import Config as Config
from experiments.sweep.config import identity, run_config
from experiments.sweep.parts import Outcome, Part, plan, train_part
from experiments.sweep.rows import STATISTICS, labels, ranking, rows_of, table, verdict
from experiments.train import processes
from lstm_jax import plots

NAME = "sweep"


def run(config: Config, out: str | Path | None = None, resume: bool = False) -> Record:
    """Trains every setting and returns the record.

    Args:
      config: what is swept.
      out: folder of sweep.csv and of the parts that are done; nothing is written where
        it is None.
      resume: train only the parts that `out` does not hold.

    Raises:
      ConfigError: `out` holds another sweep or is that of one going on, or a task
        refuses a setting.
      OSError: a part can't be written.
    """
    if out is None:
        return _run(config, None, resume)
    with alone_in(Path(out)):
        return _run(config, Path(out), resume)


def _run(config: Config, out: Path | None, resume: bool) -> Record:
    start = time.monotonic()
    parts = plan(config)
    found, notes = _found(config, parts, out, resume)
    for note in notes:
        print(note, file=sys.stderr)
    outcome = _in_order(parts, _trained(config, parts, found, out))
    if out is not None:
        rows = rows_of(config, outcome)
        store.write_csv(out / "sweep.csv", rows)
    return record_of(config, outcome, notes, start)


def record_of(
    config: Config, outcome: Outcome, notes: Sequence[str], start: float
) -> Record:
    """Returns the record.

    Args:
      config: of the sweep.
      outcome: of all settings.
      notes: what the user must know about how it came about.
      start: of the sweep, as `time.monotonic` says it.
    """
    rows = rows_of(config, outcome)
    named = zip(labels(config, rows), config.settings(), strict=True)
    return records.new(
        NAME,
        asdict(config),
        start,
        _quantities(outcome, rows),
        axes={"variant": [{"label": label, **setting} for label, setting in named]},
        rows=table(config, rows),
        verdict=[*notes, *verdict(config, rows)],
    )


def _found(
    config: Config, parts: list[Part], out: Path | None, resume: bool
) -> tuple[dict[int, Outcome], list[str]]:
    """Returns the parts that are done, by number, and notes for the user."""
    if out is None:
        return {}, []
    notes = store.begin(out, identity(config), resume)
    found = {}
    for number in range(len(parts)):
        try:
            outcome = store.load_part(out, number)
        except store.DamagedError as error:
            notes.append(f"{error}; its runs are trained again.")
            continue
        if outcome is not None:
            found[number] = outcome
    return found, notes


def _trained(
    config: Config, parts: list[Part], found: dict[int, Outcome], out: Path | None
) -> list[Outcome]:
    """Returns the outcome of each part; trains and saves those not found."""
    settings = config.settings()
    todo = [number for number in range(len(parts)) if number not in found]
    with progress(max(sum(parts[number].work for number in todo), 1)) as advance:
        for count, number in enumerate(todo):
            part = parts[number]
            runs = [run_config(config, settings[m]) for m in part.members]
            told = _told(f"part {count + 1} of {len(todo)}, ", advance)
            found[number] = train_part(part, runs, told)
            if out is not None:
                store.save_part(out, number, found[number])
    return [found[number] for number in range(len(parts))]


def _told(before: str, advance: Advance) -> Advance:
    return lambda what, units: advance(before + what, units)


def _in_order(parts: list[Part], outcomes: list[Outcome]) -> Outcome:
    """Returns the outcomes of all settings in the order of the sweep."""
    members = np.concatenate([part.members for part in parts])
    joined = (np.concatenate(leaves) for leaves in zip(*outcomes, strict=True))
    return Outcome(*(leaf[np.argsort(members)] for leaf in joined))


def _quantities(outcome: Outcome, rows: list[dict[str, Any]]) -> dict[str, Quantity]:
    """Returns the arrays of the record; "best_first" counts the settings from 0."""
    statistics = {
        name: Quantity(np.array([row[name] for row in rows]), ("variant",), "1")
        for name in STATISTICS
    }
    runs = {
        "test_loss": (outcome.loss, "1"),
        "test_accuracy": (outcome.accuracy, "1"),
        "updates": (outcome.updates, "updates"),
        "diverged_at": (outcome.diverged_at, "updates"),
        "solved_at": (outcome.solved_at, "updates"),
        "diverged_run": (outcome.diverged, "1"),
    }
    of_runs = {
        name: Quantity(values, ("variant", "seed"), unit)
        for name, (values, unit) in runs.items()
    }
    best_first = Quantity(ranking(rows), ("rank",), "1")
    return {**statistics, **of_runs, "best_first": best_first}


@plots.styled
def plot(record: Record) -> Figure:
    """Draws a curve, a map, or all settings from the best to the worst."""
    return figure.draw(Config(**records.config_fields(record)), record)


def command(config: Config, out: Path) -> None:
    """Runs, saves the record and prints it; ends the process where it can't."""
    processes.start(processes.from_flags())
    try:
        with alone_in(out):
            record = _run(config, out, resume=flags.FLAGS.resume)
            records.save(record, plot(record), out)
    except KeyboardInterrupt:
        again = f"go on from the parts done with\n  {_again()}"
        cli.stop(f"interrupted; {again}", cli.INTERRUPTED)
    except OSError as error:
        cli.stop(
            f"{error.filename or out}: {error.strerror}; go on with\n  {_again()}", 1
        )
    records.show(record)
    print(f"\nsweep.csv, record.json, figure.png in {out.resolve()}")


def _again() -> str:
    arguments = [argument for argument in sys.argv[1:] if argument != "--resume"]
    return shlex.join(["python", "-m", "experiments.sweep", *arguments, "--resume"])
