"""A sweep as one call, its record and its figure."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from matplotlib.figure import Figure

from experiments.common import cli, devices, own_data, records
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
from lstm_jax.training.sharding import SEED

NAME = "sweep"


def run(config: Config, out: str | Path | None = None, resume: bool = False) -> Record:
    """Trains every setting and returns the record.

    Args:
      config: what is swept.
      out: folder of sweep.csv and the finished parts; if None, nothing is written.
      resume: train only the parts that `out` does not hold.

    Raises:
      ConfigError: `out` holds another sweep or is in use by one, or a task refuses a
        setting.
      OSError: a part can't be written.
    """
    if out is None:
        return _run(config, None, resume)
    with alone_in(Path(out)):
        return _run(config, Path(out), resume)


def _run(config: Config, out: Path | None, resume: bool) -> Record:
    start = time.monotonic()
    config = own_data.pinned(config)
    parts = plan(config)
    found, notes = _found(config, parts, out, resume)
    for note in notes:
        print(note, file=sys.stderr)
    outcome = in_order(parts, _trained(config, parts, found, out))
    if out is not None:
        store.write_csv(out / "sweep.csv", rows_of(config, outcome))
    return record_of(config, outcome, notes, start)


def record_of(
    config: Config, outcome: Outcome, notes: Sequence[str], start: float
) -> Record:
    """Returns the record; `notes` open the verdict, `start` is `time.monotonic()`."""
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
    """Returns the finished parts by number, and notes for the user."""
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
    """Returns the outcome of each part; trains and saves the missing ones."""
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


def in_order(parts: list[Part], outcomes: list[Outcome]) -> Outcome:
    """Returns the outcomes of all settings, in the order of the sweep."""
    members = np.concatenate([part.members for part in parts])
    joined = (np.concatenate(leaves) for leaves in zip(*outcomes, strict=True))
    return Outcome(*(leaf[np.argsort(members)] for leaf in joined))


def _quantities(outcome: Outcome, rows: list[dict[str, Any]]) -> dict[str, Quantity]:
    """Returns the arrays of the record; "best_first" numbers the settings from 0."""
    statistics = {
        name: Quantity(np.array([row[name] for row in rows]), ("variant",), "1")
        for name in STATISTICS
    }
    runs = ("variant", "seed")
    return {
        **statistics,
        "test_loss": Quantity(outcome.loss, runs, "1"),
        "test_accuracy": Quantity(outcome.accuracy, runs, "1"),
        "updates": Quantity(outcome.updates, runs, "updates"),
        "diverged_at": Quantity(outcome.diverged_at, runs, "updates"),
        "solved_at": Quantity(outcome.solved_at, runs, "updates"),
        "diverged_run": Quantity(outcome.diverged, runs, "1"),
        "best_first": Quantity(ranking(rows), ("rank",), "1"),
    }


@plots.styled
def plot(record: Record) -> Figure:
    """Draws a curve, a map, or all settings from best to worst."""
    return figure.draw(Config(**records.config_fields(record)), record)


def command(config: Config, out: Path) -> None:
    """Runs, saves the record and prints it; exits with a message if it can't."""
    processes.start(processes.from_flags(), config.mesh)
    if config.mesh is None and devices.on_cpu() > 1:
        config = replace(config, mesh=f"{SEED}:{devices.on_cpu()}")
    again = processes.command_to_resume(NAME)
    try:
        with alone_in(out):
            record = _run(config, out, resume=flags.FLAGS.resume)
            records.save(record, plot(record), out)
    except KeyboardInterrupt:
        told = f"interrupted; go on from the parts done with\n  {again}"
        cli.stop(told, cli.INTERRUPTED)
    except OSError as error:
        cli.stop(f"{error.filename or out}: {error.strerror}; go on with\n  {again}", 1)
    records.show(record)
    print(f"\nsweep.csv, record.json, figure.png in {out.resolve()}")
