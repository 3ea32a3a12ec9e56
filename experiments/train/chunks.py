"""A run of `experiments.train`: trained chunk by chunk, logged and saved on the way."""

import math
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.common import environment
from experiments.common.errors import ConfigError
from experiments.common.progress import progress
from experiments.train import metrics
from experiments.train.config import (
    SECONDS_BETWEEN_CHECKPOINTS,
    SHARE_OF_TIME,
    Config,
    identity,
    seeds,
)
from experiments.train.interrupts import asked_to_stop
from experiments.train.job import MOST_STEPS_PER_CHUNK, Job, going
from experiments.train.metrics import Metrics
from experiments.train.processes import (
    by_first,
    exchanged,
    first_says,
    is_first,
    of_first,
)
from lstm_jax.training import checkpoints, loop, settings

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


class Trained(NamedTuple):
    """How far a run has come."""

    state: loop.TrainState  # leaves (run, ...)
    metrics: Metrics  # every logged line
    notes: list[str]  # what the user must know about how it got here


def what_all_share(config: Config) -> dict[str, Any]:
    """Returns what must be the same in every process of a run."""
    here = environment.here()
    versions = {name: here[name] for name in ("jax", "jaxlib", "code")}
    return {**asdict(config), **settings.random_numbers(), **versions}


def _made(config: Config) -> dict[str, Any]:
    """Returns what may change between resumes; the user is told when it does."""
    processes = jax.process_count()
    return {**environment.here(), "mesh": config.mesh, "processes": processes}


def begin(config: Config, job: Job, out: Path | None, resume: bool) -> Trained:
    """Returns where to start: at a checkpoint, or at the beginning.

    Process 0 reads the checkpoint and sends it to the others; only process 0 has the
    metrics and notes.
    """
    initial = Trained(job.initial(), _no_lines(config), [])
    if out is None:
        return initial
    read = by_first(lambda: _begun(config, initial, out, resume))
    begun = initial if read is None else read
    arrays = of_first(checkpoints.named_arrays(begun.state))
    return begun._replace(state=checkpoints.with_arrays(begun.state, arrays))


def in_files(config: Config, tree: Any) -> Any:
    """Returns leaves (run, ...) as files hold them: one seed has no run axis."""
    return tree if config.num_seeds > 1 else jax.tree.map(lambda leaf: leaf[0], tree)


def _begun(config: Config, initial: Trained, out: Path, resume: bool) -> Trained:
    found = _found(config, in_files(config, initial.state), out) if resume else None
    if not resume and (saved := checkpoints.steps(_folder(out))):
        raise ConfigError(
            f"out: {str(out)!r} holds a run that was saved at step {saved[-1]}; go on "
            "with --resume, or name another folder"
        )
    if found is None:
        notes = [f"No checkpoint in {out}: it starts at step 0."] if resume else []
        begun = initial._replace(notes=notes)
    else:
        notes = [
            f"The checkpoint of step {step} is damaged; the run goes on from that of "
            f"step {found.step}."
            for step in found.damaged
        ]
        notes += environment.changes(found.made, _made(config), f"step {found.step}")
        checkpoints.clean(
            _folder(out), damaged=found.damaged, keep=config.keep_checkpoints
        )
        state = found.state
        if config.num_seeds == 1:
            state = jax.tree.map(lambda leaf: leaf[None], state)
        begun = Trained(state, initial.metrics | found.history, notes)
    for note in begun.notes:
        print(note, file=sys.stderr)
    metrics.rewrite(out / "metrics.jsonl", begun.metrics)
    return begun


def _found(
    config: Config, like: loop.TrainState, out: Path
) -> checkpoints.Restored | None:
    try:
        found = checkpoints.restore(_folder(out), like, config=identity(config))
    except ValueError as error:
        raise ConfigError(f"out: {error}") from error
    if found is not None and found.step > config.num_steps:
        raise ConfigError(
            f"num_steps: got {config.num_steps}; it must be at least {found.step}, "
            f"where the run in {str(out)!r} already is"
        )
    return found


def _folder(out: Path) -> Path:
    return out / "checkpoints"


def finish(config: Config, job: Job, begun: Trained, out: Path | None) -> Trained:
    """Trains to the end, saving on the way; returns the final state, gathered."""
    (begun_at, lines, notes), marks = begun, _marks(begun.state)
    state, done = job.place(begun_at), _done(marks)
    save_at, rate = time.monotonic() + SECONDS_BETWEEN_CHECKPOINTS, 1.0
    silent = nullcontext(lambda what, units: None)
    shown = progress(max(config.num_steps - done, 1)) if is_first() else silent
    with asked_to_stop() as asked, shown as advance:
        advance("compiling", 0)
        jax.block_until_ready(job.chunk(state, 0))
        while done < config.num_steps and going(marks):
            start, before = time.monotonic(), done
            end = first_says(_end_of_chunk(config, done, rate))
            state, history = jax.block_until_ready(job.chunk(state, end - done))
            marks, history = job.gather((_marks(state), history))
            done = _done(marks)
            rate = (end - before) / (time.monotonic() - start)
            new = _lines(config, job, state, history, before, done, rate)
            lines = metrics.joined(lines, new)
            if out is not None:
                by_first(partial(metrics.append, out / "metrics.jsonl", new))
            _check_finite(marks, history, before, out)
            advance(_what(history, rate), done - before)
            stop = _signal(asked())
            due = _is_due(config, marks, done, save_at) or stop is not None
            if first_says(due):
                save_at = _save(config, Trained(job.gather(state), lines, notes), out)
            if stop is not None:
                raise Interrupted(f"stopped at step {done}", stop)
    return Trained(job.gather(state), lines, [*notes, *ends(config, marks)])


def _marks(state: loop.TrainState) -> loop.TrainState:
    """Returns only the counters of a state, without the large arrays."""
    nothing: Any = ()
    return state._replace(params=nothing, opt_state=nothing, key=nothing)


def _signal(asked: int | None) -> int | None:
    """Returns the signal that any of the processes received."""
    return int(exchanged(asked or 0).max()) or None


def _done(state: loop.TrainState) -> int:
    """Returns the number of updates of the run that is furthest along."""
    return int(np.max(state.step))


def _end_of_chunk(config: Config, done: int, rate: float) -> int:
    at_this_rate = math.ceil(rate * SECONDS_PER_CHUNK)
    ends = [config.num_steps, done + min(at_this_rate, MOST_STEPS_PER_CHUNK)]
    for interval in (config.checkpoint_interval, config.eval_interval):
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


def _save(config: Config, trained: Trained, out: Path | None) -> float:
    """Writes a checkpoint; returns when the next one may follow."""
    start = time.monotonic()
    if out is not None:
        by_first(
            lambda: checkpoints.save(
                _folder(out),
                _done(trained.state),
                in_files(config, trained.state),
                config=identity(config),
                history=trained.metrics,
                made=_made(config),
                keep=config.keep_checkpoints,
            )
        )
    end = time.monotonic()
    return end + max(SECONDS_BETWEEN_CHECKPOINTS, (end - start) / SHARE_OF_TIME)


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
    good = None if out is None else checkpoints.latest(_folder(out))
    last = "there is no checkpoint"
    if out is not None and good is not None:
        last = f"the last good checkpoint is {_folder(out) / str(good)}"
    raise Diverged(
        f"training diverged at step {step}: loss {loss:.4g}, gradient norm {norm:.4g}; "
        f"{last}"
    )


def _no_lines(config: Config) -> Metrics:
    shape = (0,) if config.num_seeds == 1 else (0, config.num_seeds)
    tests = ("test_loss", "test_accuracy") if config.eval_interval else ()
    per_seed = {name: np.zeros(shape) for name in ("loss", "accuracy", *tests)}
    return {"step": np.zeros(0, int), **per_seed, "steps_per_second": np.zeros(0)}


def _lines(
    config: Config,
    job: Job,
    state: loop.TrainState,
    history: loop.History,
    before: int,
    done: int,
    rate: float,
) -> Metrics:
    """Returns the logged lines of updates `before` + 1 to `done`."""
    steps = np.arange(before + 1, done + 1)
    steps = steps[steps % config.log_interval == 0]
    lines = {"step": steps}
    for name in ("loss", "accuracy"):
        values = np.asarray(in_files(config, getattr(history, name)), float)
        lines[name] = values[..., steps - before - 1].T
    if config.eval_interval:
        lines |= _tests(config, job, state, lines["loss"], steps)
    return lines | {"steps_per_second": np.full(steps.shape, round(rate, 1))}


def _tests(
    config: Config,
    job: Job,
    state: loop.TrainState,
    like: np.ndarray,
    steps: np.ndarray,
) -> Metrics:
    """Returns test results: NaN in every line but the chunk's last, when one is due."""
    tests = {
        name: np.full_like(like, np.nan) for name in ("test_loss", "test_accuracy")
    }
    if len(steps) and steps[-1] % (config.eval_interval or 1) == 0:
        tested = in_files(config, job.gather(job.test(state)))
        tests["test_loss"][-1] = tested.loss
        tests["test_accuracy"][-1] = tested.accuracy
    return tests


def _what(history: loop.History, rate: float) -> str:
    """Describes progress, by means over the chunk."""
    loss, accuracy = (
        np.nanmean(np.asarray(values, float))
        for values in (history.loss, history.accuracy)
    )
    return f"loss {loss:.4g}  acc {accuracy:.3f}  {rate:.4g} steps/s"


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
    return lines
