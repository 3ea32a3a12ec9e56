"""A run of `experiments.train` as one call, its record and its figure."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import cli, own_data, records
from experiments.common.own_data import task_of
from experiments.common.records import Quantity, Record, take
from experiments.train import (
    chunks,
    exchange,
    logs,
    metrics,
    processes,
    saving,
    sharing,
    starting,
)
from experiments.train.chunks import Diverged as Diverged
from experiments.train.chunks import Interrupted as Interrupted
from experiments.train.config import Config as Config
from experiments.train.config import seeds
from experiments.train.exchange import Stopped
from experiments.train.job import Job, at_best, check_memory, in_files, job_of
from experiments.train.saving import Trained
from lstm_jax import plots
from lstm_jax.tasks.from_windows import LAST_VALUE
from lstm_jax.training import checkpoints, loop
from lstm_jax.training.checkpoints import CheckpointError
from lstm_jax.training.success import success_rate

NAME = "train"


def run(config: Config, out: str | Path | None = None, resume: bool = False) -> Record:
    """Trains, tests and returns the record; if `out` is None, writes nothing.

    Args:
      config: what is trained.
      out: folder of the metrics, checkpoints/ and final.npz; made if it is missing.
      resume: continue from the newest whole checkpoint in `out`.

    Raises:
      ConfigError: `out` holds another run or is in use by one, `config` can't be
        trained, or the processes of the run were started with different settings.
      Diverged: every seed diverged.
      Interrupted: Ctrl-C; everything is saved.
      CheckpointError: a checkpoint can't be written.
    """
    if out is None:
        return _run(config, None, resume)
    with exchange.first_alone_in(Path(out)):
        return _run(config, Path(out), resume)


def _run(config: Config, out: Path | None, resume: bool) -> Record:
    start = time.monotonic()
    config = starting.pinned(own_data.pinned(config))
    learnt = own_data.learnt(config)
    exchange.check_same(saving.what_all_share(config))
    check_memory(config)
    logs.check(config)
    with jax.enable_x64(config.dtype == "float64"):
        job = job_of(config)
        begun = saving.begin(config, job, out, resume)
        trained = chunks.finish(config, job, begun, out)
        tested = {"final": _tested(job, trained.state)}
        if config.valid is not None:
            tested["best"] = _tested(job, at_best(trained.state))
    judged = [*tested.values()][-1]
    if out is not None:
        exchange.by_first(lambda: _save_end(config, trained, out))
    return records.new(
        NAME,
        asdict(config) | learnt.said,
        start,
        _quantities(config, trained, tested),
        axes={
            "update": trained.metrics["step"].tolist(),
            "seed": seeds(config),
            "level": _levels(config),
        },
        rows=_rows(config, trained, judged),
        verdict=[
            *trained.notes,
            *learnt.verdict,
            *_of_which(config),
            *_verdict(config, judged),
        ],
    )


def _save_end(config: Config, trained: Trained, out: Path) -> None:
    # Appended lines survive the end of the process, but not a power failure.
    logs.rewrite(config, out, trained.metrics)
    kept = {"final": trained.state}
    if config.valid is not None:
        kept["best"] = at_best(trained.state)
    for name, state in kept.items():
        params = checkpoints.named_arrays(in_files(config, state.params))
        metrics.save_arrays(out / f"{name}.npz", params)


def _tested(job: Job, state: loop.TrainState) -> np.ndarray:
    return np.stack(job.gather(job.test(job.place(state))))


def _levels(config: Config) -> dict[str, float]:
    """Returns the losses of predictors with no memory, or with only a part of it."""
    task = task_of(config)
    return {"no memory": task.floor(config.length), **task.plateaus(config.length)}


def _quantities(
    config: Config, trained: Trained, tested: dict[str, np.ndarray]
) -> dict[str, Quantity]:
    """Returns the arrays of the record; tests are NaN at updates without one."""
    tests = {
        f"{which}_test_{name}": Quantity(values, ("seed",), "1")
        for which, of_which in tested.items()
        for name, values in zip(("loss", "accuracy"), of_which, strict=True)
    }
    lines = dict(trained.metrics)
    count, rates = len(lines.pop("step")), lines.pop("steps_per_second")
    curves = {
        name: Quantity(of.reshape(count, config.num_seeds), ("update", "seed"), "1")
        for name, of in lines.items()
    }
    levels = np.array([*_levels(config).values()])
    return {
        **curves,
        "steps_per_second": Quantity(rates, ("update",), "1/s"),
        **tests,
        **_best(trained),
        "level": Quantity(levels, ("level",), "1"),
    }


def _best(trained: Trained) -> dict[str, Quantity]:
    best = trained.state.best
    if best is None:
        return {}
    return {
        "best_update": Quantity(np.asarray(best.step), ("seed",), "updates"),
        "best_valid_loss": Quantity(np.asarray(best.loss), ("seed",), "1"),
    }


def _rows(config: Config, trained: Trained, tested: np.ndarray) -> list[dict[str, Any]]:
    levels = _levels(config)
    naive = {k: f"{levels[k]:.4g}" for k in ("no memory", LAST_VALUE) if k in levels}
    return [
        {
            "cell": config.cell,
            "seed": seed,
            "updates": int(steps),
            "test loss": f"{loss:.4g}",
            **naive,
            "test accuracy": f"{accuracy:.3f}",
        }
        for seed, steps, loss, accuracy in zip(
            seeds(config),
            np.asarray(at_best(trained.state).step),
            *tested,
            strict=True,
        )
    ]


def _of_which(config: Config) -> list[str]:
    """Says which weights are tested, where there are two."""
    if config.valid is None:
        return []
    return [
        "Tests are of the weights of the least validation loss, best.npz, after the "
        "updates in the table; final.npz has the last ones, final_test_loss is theirs."
    ]


def _verdict(config: Config, tested: np.ndarray) -> list[str]:
    if config.success_loss is None:
        return []
    count, runs = int((tested[0] <= config.success_loss).sum()), config.num_seeds
    rate = success_rate(count, runs)
    return [
        f"{count} of {runs} seeds end with a test loss of at most "
        f"{config.success_loss:g} (95 % Wilson interval of the rate: "
        f"{rate.low:.2f} to {rate.high:.2f})."
    ]


@plots.styled
def plot(record: Record) -> Figure:
    """Draws loss and accuracy against updates, one line per seed."""
    figure = Figure(figsize=(6.6, 4.8), layout="constrained")
    plots.headline(figure, finding(record))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    colour = plots.colour_of(record.config["cell"])
    for axes, name in ((upper, "loss"), (lower, "accuracy")):
        updates, curves = record.axes["update"], take(record, name)
        axes.plot(updates, curves, color=colour, linewidth=0.7, alpha=0.8)
        axes.set_ylabel(name)
    for name in record.axes["level"]:
        level = float(take(record, "level", level=name))
        if level > 0:  # the axis is logarithmic
            upper.axhline(level, color=plots.GREY, linewidth=0.6)
            plots.note(
                upper,
                name,
                (1, level),
                (4, 0),
                coords=("axes fraction", "data"),
                va="center",
                color=plots.GREY,
            )
    if record.config.get("file_sha256"):  # whose test may be another world
        _plot_test(upper, record, colour)
    upper.set_yscale("log")
    lower.set_ylim(-0.02, 1.02)
    lower.set_xlabel(f"updates of {record.config['batch_size']} sequences")
    return figure


def _plot_test(axes: Axes, record: Record, colour: str) -> None:
    """Marks the losses of the test beside those of the last updates."""
    (last, *_), losses = record.axes["update"][-1:], take(record, "final_test_loss")
    axes.plot([last] * len(losses), losses, "o", color=colour, markersize=5)
    where: Any = {"va": "center", "ha": "right", "color": colour}
    plots.note(axes, "test", (last, np.nanmedian(losses)), (-6, 0), **where)


def finding(record: Record) -> str:
    """Returns how many seeds learn the task, or the loss that they end with."""
    config = record.config
    which = "final" if config.get("valid") is None else "best"
    losses = take(record, f"{which}_test_loss")
    learnt = f"{own_data.called(config)}, {config['length']} steps"
    what = f"{config['cell']} with {config['hidden_size']} units on {learnt}"
    if config["success_loss"] is None:
        return f"{what}: median test loss {np.nanmedian(losses):.2g}{_naive(record)}"
    count, least = int((losses <= config["success_loss"]).sum()), config["success_loss"]
    return f"{what}: {count} of {len(losses)} seeds reach a test loss of {least:g}"


def _naive(record: Record) -> str:
    """Says what a network must lose less than, where there is such a level."""
    if LAST_VALUE not in record.axes["level"]:
        return ""
    level = float(take(record, "level", level=LAST_VALUE))
    return f", the {LAST_VALUE} {level:.2g}"


def command(config: Config, out: Path) -> None:
    """Runs, saves the record and prints it; exits with a message if it can't."""
    found = processes.from_flags()
    again = processes.command_to_resume(NAME)
    try:
        with processes.lost_process_told(found, again):
            processes.start(found, config.mesh)
            resume = flags.FLAGS.resume
            with exchange.first_alone_in(out):
                shared = sharing.settled(config, out, resume=resume)
                record = _run(shared, out, resume)
                exchange.by_first(lambda: _leave_behind(record, out))
    except Interrupted as error:
        cli.stop(f"{error} and saved; go on with\n  {again}", 128 + error.signal)
    except (Diverged, CheckpointError, Stopped) as error:
        cli.stop(str(error), 1)
    except KeyboardInterrupt:
        told = f"interrupted; go on from what was saved with\n  {again}"
        cli.stop(told, cli.INTERRUPTED)
    except OSError as error:
        cli.stop(f"{error.filename or out}: {error.strerror}; go on with\n  {again}", 1)


def _leave_behind(record: Record, out: Path) -> None:
    records.save(record, plot(record), out)
    records.show(record)
    written = "metrics.jsonl, metrics.csv, final.npz, record.json, figure.png"
    print(f"\n{written} in {out.resolve()}")
