"""A run of `experiments.train`: trained chunk by chunk, logged and saved on the way."""

import math
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.common.progress import progress
from experiments.train import logs, metrics
from experiments.train.config import (
    SECONDS_BETWEEN_CHECKPOINTS,
    Config,
    seeds,
)
from experiments.train.exchange import (
    by_first,
    exchanged,
    first_says,
    is_first,
)
from experiments.train.interrupts import asked_to_stop
from experiments.train.job import MOST_STEPS_PER_CHUNK, Job, going
from experiments.train.refusals import validation_interval
from experiments.train.saving import Trained, folder_of, save, updates
from lstm_jax.training import checkpoints, loop

# The size of a chunk only decides how often the run reports.
SECONDS_PER_CHUNK = 0.25


class Diverged(ArithmeticError):
    """A loss or a gradient that is not finite, or exploded."""


class Interrupted(KeyboardInterrupt):
    """A run that a signal asked to stop; everything is saved."""

    def __init__(self, message: str, signal: int):
        """Takes where the run stands, and the signal's number."""
        super().__init__(message)
        self.signal = signal


def finish(config: Config, job: Job, begun: Trained, out: Path | None) -> Trained:
    """Trains to the end, saving on the way; returns the final state, gathered."""
    (begun_at, lines, notes), marks = begun, _marks(begun.state)
    state, done = job.place(begun_at), updates(marks)
    save_at, rate = time.monotonic() + SECONDS_BETWEEN_CHECKPOINTS, 1.0
    silent = nullcontext(lambda what, units: None)
    shown = progress(max(config.num_steps - done, 1)) if is_first() else silent
    board = logs.board(config, out if is_first() else None, done)
    with asked_to_stop() as asked, shown as advance, board as add:
        advance("compiling", 0)
        jax.block_until_ready(job.chunk(state, 0))
        while done < config.num_steps and going(marks):
            start, before = time.monotonic(), done
            end = first_says(_end_of_chunk(config, done, rate))
            state, history = jax.block_until_ready(job.chunk(state, end - done))
            rate = (end - done) / (time.monotonic() - start)
            marks, history = job.gather((_marks(state), history))
            done, validated = updates(marks), None
            if config.valid is not None and done % validation_interval(config) == 0:
                state, validated = job.validate(state)
                marks, validated = job.gather((_marks(state), validated))
            new = metrics.lines_of_chunk(
                config, job, state, history, before, done, rate, validated
            )
            lines = metrics.joined(lines, new)
            if out is not None:
                by_first(partial(logs.append, config, out, new))
                add(new)
            _check_finite(marks, history, before, out)
            advance(metrics.means(history, rate), done - before)
            stop = _signal(asked())
            due = _is_due(config, marks, done, save_at) or stop is not None
            if first_says(due):
                save_at = save(config, Trained(job.gather(state), lines, notes), out)
            if stop is not None:
                raise Interrupted(f"stopped at step {done}", stop)
    # What a run ended with, between two validations, may be its best.
    if config.valid is not None and not going(marks):
        state, _ = job.validate(state)
    return Trained(job.gather(state), lines, [*notes, *ends(config, marks)])


def _marks(state: loop.TrainState) -> loop.TrainState:
    """Returns only the counters of a state, without the large arrays."""
    nothing: Any = ()
    best = state.best and state.best._replace(params=nothing)
    return state._replace(params=nothing, opt_state=nothing, key=nothing, best=best)


def _signal(asked: int | None) -> int | None:
    """Returns the signal that any of the processes received."""
    return int(exchanged(asked or 0).max()) or None


def _end_of_chunk(config: Config, done: int, rate: float) -> int:
    at_this_rate = math.ceil(rate * SECONDS_PER_CHUNK)
    ends = [config.num_steps, done + min(at_this_rate, MOST_STEPS_PER_CHUNK)]
    validations = None if config.valid is None else validation_interval(config)
    for interval in (config.checkpoint_interval, config.eval_interval, validations):
        if interval is not None:
            ends.append(done + interval - done % interval)
    return min(ends)


def _is_due(config: Config, state: loop.TrainState, done: int, save_at: float) -> bool:
    """Whether it is time for a checkpoint."""
    if done == config.num_steps or not going(state):
        return True
    if config.checkpoint_interval is not None:
        return done % config.checkpoint_interval == 0
    return time.monotonic() >= save_at


def _check_finite(
    state: loop.TrainState, history: loop.History, before: int, out: Path | None
) -> None:
    """Raises `Diverged` if every run has diverged."""
    diverged_at = np.asarray(state.diverged_at)
    if (diverged_at < 0).any():
        return
    # The last to diverge did so in this chunk.
    which, step = int(diverged_at.argmax()), int(diverged_at.max())
    loss, _, norm = (float(values[which, step - before - 1]) for values in history)
    good = None if out is None else checkpoints.latest(folder_of(out))
    last = "there is no checkpoint"
    if out is not None and good is not None:
        last = f"the last good checkpoint is {folder_of(out) / str(good)}"
    raise Diverged(
        f"training diverged at step {step}: loss {loss:.4g}, gradient norm {norm:.4g}; "
        f"{last}"
    )


def ends(config: Config, state: loop.TrainState) -> list[str]:
    """Says which runs ended early, and how."""
    lines = []
    for seed, diverged_at, solved_at in zip(
        seeds(config),
        np.asarray(state.diverged_at),
        np.asarray(state.solved_at),
        strict=True,
    ):
        if diverged_at >= 0:
            lines.append(f"Seed {seed} diverged at step {diverged_at}.")
        if solved_at >= 0:
            lines.append(
                f"Seed {seed}: {config.stop_after} sequences in a row were right at "
                f"step {solved_at}, after {solved_at * config.batch_size} sequences."
            )
    if state.best is not None:
        for seed, ended_at in zip(seeds(config), state.best.ended_at, strict=True):
            if ended_at >= 0:
                lines.append(
                    f"Seed {seed} ended at step {ended_at}, after {config.patience} "
                    "validations without a better loss."
                )
    return lines
