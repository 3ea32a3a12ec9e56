"""Which setting trains best? A grid, or random draws, over any fields of the trainer.

Question: how often does a cell learn a task, and how well, over its learning rate,
forget bias, size, or whatever else `experiments.train` has a flag for?

  python -m experiments.sweep
  python -m experiments.sweep --sweep="cell=lstm,gru;hidden_size=16,32,64" --num_seeds=5
  python -m experiments.sweep --random=20 --sweep="learning_rate=log:1e-4:1e-1;clip=1,5"

All flags of `experiments.train` are there and go to every run; those that say what is
logged and saved on the way, and those of several processes, are refused. Settings that
differ in numbers only (learning rate, clip, forget bias, seed) train side by side in
one program, at most --at_once runs; each such part is saved under `cells/` when it is
done, and --resume trains those that are missing, to the same bits where threads, device
and versions are the same (see `experiments.train`), and says where they are not. Every
run is the one that `experiments.train` makes of its setting and seed, up to rounding.

Many devices: --mesh=seed:4 gives each of four an equal part of the runs of a program,
which exchange nothing; the last setting is trained once more where they are too few.
--mesh=data:2,seed:2 and --cpu_devices=4 are as in `experiments.train`. What is found is
the same to rounding, and --resume goes on over other devices.

Written under --out: `sweep.csv`, one row per setting, in order: the swept fields; runs,
successes, and the rate's 95 % Wilson interval; runs that diverged; median and quartiles
of test loss and test accuracy over the runs that did not; and the record with its
figure. The table has the best settings: most successes, then fewest diverged, then the
lowest median loss.

What is drawn. One swept field: test loss of every seed, with median and quartiles, and
the share that succeeds with its interval. Two, on a grid: maps of both. Otherwise: all
settings from the best to the worst, each field's value a shade below. A cross marks a
setting of which a run diverged (in maps, with their number).

Expected. The learning rate decides (Greff et al.: most of the variance, and hardly any
interaction with the rest). On adding (30 steps, 600 updates) 1e-3 is too slow for any
seed, 3e-3 for most, and from 1e-2 on nearly all reach an accuracy of 0.95; the forget
bias matters little at so few steps.

Sources: Greff et al. (2017), LSTM: A search space odyssey, section V.C, found the
learning rate to matter most by far, https://arxiv.org/abs/1503.04069; random rather
than grid search, Bergstra & Bengio (2012), https://jmlr.org/papers/v13/bergstra12a.html;
forget biases, Jozefowicz, Zaremba & Sutskever (2015),
https://proceedings.mlr.press/v37/jozefowicz15.html.
"""

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

from experiments import (
    cli,
    records,
    sweep_config,
    sweep_figure,
    sweep_parts,
    sweep_rows,
    sweep_store,
    train_processes,
)
from experiments.alone import alone_in
from experiments.progress import Advance, progress
from experiments.records import Record
from experiments.sweep_config import Config as Config
from experiments.sweep_parts import Outcome, Part
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
    parts = sweep_parts.plan(config)
    found, notes = _found(config, parts, out, resume)
    for note in notes:
        print(note, file=sys.stderr)
    outcome = _in_order(parts, _trained(config, parts, found, out))
    if out is not None:
        rows = sweep_rows.rows_of(config, outcome)
        sweep_store.write_csv(out / "sweep.csv", rows)
    return record_of(config, outcome, notes, time.monotonic() - start)


def record_of(
    config: Config, outcome: Outcome, notes: Sequence[str], seconds: float
) -> Record:
    """Returns the record.

    Args:
      config: of the sweep.
      outcome: of all settings.
      notes: what the user must know about how it came about.
      seconds: it took.
    """
    rows = sweep_rows.rows_of(config, outcome)
    return Record(
        experiment=NAME,
        config=asdict(config),
        arrays=_arrays(config, outcome, rows),
        rows=sweep_rows.table(config, rows),
        verdict=[*notes, *sweep_rows.verdict(config, rows)],
        made=records.provenance(seconds),
    )


def _found(
    config: Config, parts: list[Part], out: Path | None, resume: bool
) -> tuple[dict[int, Outcome], list[str]]:
    """Returns the parts that are done, by number, and notes for the user."""
    if out is None:
        return {}, []
    notes = sweep_store.begin(out, sweep_config.identity(config), resume)
    found = {}
    for number in range(len(parts)):
        try:
            outcome = sweep_store.load_part(out, number)
        except sweep_store.DamagedError as error:
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
            runs = [sweep_config.run_config(config, settings[m]) for m in part.members]
            told = _told(f"part {count + 1} of {len(todo)}, ", advance)
            found[number] = sweep_parts.train_part(part, runs, told)
            if out is not None:
                sweep_store.save_part(out, number, found[number])
    return [found[number] for number in range(len(parts))]


def _told(before: str, advance: Advance) -> Advance:
    return lambda what, units: advance(before + what, units)


def _in_order(parts: list[Part], outcomes: list[Outcome]) -> Outcome:
    """Returns the outcomes of all settings in the order of the sweep."""
    members = np.concatenate([part.members for part in parts])
    joined = (np.concatenate(leaves) for leaves in zip(*outcomes, strict=True))
    return Outcome(*(leaf[np.argsort(members)] for leaf in joined))


def _arrays(
    config: Config, outcome: Outcome, rows: list[dict[str, Any]]
) -> dict[str, np.ndarray]:
    swept = {
        f"swept/{name}": np.array([r[name] for r in rows]) for name in config.swept()
    }
    statistics = {n: np.array([r[n] for r in rows]) for n in sweep_rows.STATISTICS}
    return {
        **swept,
        **statistics,
        "test_loss": outcome.loss,
        "test_accuracy": outcome.accuracy,
        "updates": outcome.updates,
        "diverged_at": outcome.diverged_at,
        "solved_at": outcome.solved_at,
        "diverged_run": outcome.diverged,
        "best_first": sweep_rows.ranking(rows),
    }


@plots.styled
def plot(record: Record) -> Figure:
    """Draws a curve, a map, or all settings from the best to the worst."""
    return sweep_figure.draw(Config(**records.config_fields(record)), record.arrays)


def command(config: Config, out: Path) -> None:
    """Runs, saves the record and prints it; ends the process where it can't."""
    train_processes.start(train_processes.from_flags())
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


if __name__ == "__main__":
    flags.DEFINE_boolean(
        "resume",
        False,
        "train only what --out does not hold yet",
        module_name=sys.argv[0],
    )
    train_processes.define_device_flag()
    cli.start(Config, command, f"out/{NAME}")
