"""metrics.jsonl: what a training run logs, one object per logged step."""

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.train.config import Config
from experiments.train.job import Job, in_files
from lstm_jax.training import disk, loop

Metrics = dict[str, np.ndarray]
"""Columns of equal length by name, NaN where there is no value; with several seeds,
what differs between them is (line, seed)."""


VALIDATIONS = ("valid_loss", "valid_accuracy")


def joined(before: Metrics, after: Metrics) -> Metrics:
    """Returns all lines of both, in order."""
    if not before:
        return after
    return {name: np.concatenate([before[name], after[name]]) for name in before}


def lines_of(metrics: Metrics) -> Iterable[str]:
    """Returns each line as JSON; NaN and infinity, unknown to JSON, as null."""
    names = list(metrics)
    for row in zip(*(metrics[name].tolist() for name in names), strict=True):
        yield json.dumps(
            {n: _plain(value) for n, value in zip(names, row, strict=True)}
        )


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if np.isfinite(value) else None


def append(path: Path, metrics: Metrics) -> None:
    """Appends lines to a file; from then on they survive the process."""
    with path.open("a", encoding="ascii") as file:
        file.writelines(f"{line}\n" for line in lines_of(metrics))


def rewrite(path: Path, metrics: Metrics) -> None:
    """Replaces the file with exactly these lines, atomically and durably."""
    text = "".join(f"{line}\n" for line in lines_of(metrics))
    disk.replace_file(path, text.encode("ascii"))


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an .npz file, whole or not at all."""
    file, contents = io.BytesIO(), dict[str, Any](arrays)
    np.savez(file, **contents)
    disk.replace_file(path, file.getvalue())


def no_lines(config: Config) -> Metrics:
    """Returns the columns of a run that has said nothing yet."""
    shape = (0,) if config.num_seeds == 1 else (0, config.num_seeds)
    tests = ("test_loss", "test_accuracy") if config.eval_interval else ()
    valid = () if config.valid is None else VALIDATIONS
    names = ("loss", "accuracy", *tests, *valid)
    per_seed = {name: np.zeros(shape) for name in names}
    return {"step": np.zeros(0, int), **per_seed, "steps_per_second": np.zeros(0)}


def lines_of_chunk(
    config: Config,
    job: Job,
    state: loop.TrainState,
    history: loop.History,
    before: int,
    done: int,
    rate: float,
    validated: loop.Evaluation | None = None,
) -> Metrics:
    """Returns the lines of the updates after `before`; the last one is `validated`."""
    steps = np.arange(before + 1, done + 1)
    steps = steps[steps % config.log_interval == 0]
    lines = {"step": steps}
    for name in ("loss", "accuracy"):
        values = np.asarray(in_files(config, getattr(history, name)), float)
        lines[name] = values[..., steps - before - 1].T
    if config.eval_interval:
        due = len(steps) and steps[-1] % config.eval_interval == 0
        tested = in_files(config, job.gather(job.test(state))) if due else None
        lines |= _at_the_end(("test_loss", "test_accuracy"), lines["loss"], tested)
    if config.valid is not None:
        found = validated and in_files(config, validated)
        lines |= _at_the_end(VALIDATIONS, lines["loss"], found)
    return lines | {"steps_per_second": np.full(steps.shape, round(rate, 1))}


def _at_the_end(
    names: tuple[str, str], like: np.ndarray, found: loop.Evaluation | None
) -> Metrics:
    """Returns NaN for each line but the last, which has what was found, if anything."""
    columns = {name: np.full_like(like, np.nan) for name in names}
    if found is not None:
        for column, value in zip(columns.values(), found, strict=True):
            column[-1] = value
    return columns


def means(history: loop.History, rate: float) -> str:
    """Returns what the progress says: means over the chunk."""
    loss, accuracy = (
        np.nanmean(np.asarray(values, float))
        for values in (history.loss, history.accuracy)
    )
    return f"loss {loss:.4g}  acc {accuracy:.3f}  {rate:.4g} steps/s"
