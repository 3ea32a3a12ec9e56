"""Where a run of `experiments.train` begins, and how it is saved and goes on."""

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import numpy as np

from experiments.common import environment
from experiments.common.errors import ConfigError
from experiments.train import forking, logs, metrics, starting
from experiments.train.config import (
    SECONDS_BETWEEN_CHECKPOINTS,
    SHARE_OF_TIME,
    Config,
    identity,
)
from experiments.train.exchange import (
    by_first,
    of_first,
)
from experiments.train.job import Job, at_best, in_files
from experiments.train.metrics import Metrics
from lstm_jax.training import checkpoints, loop, settings


class Trained(NamedTuple):
    """Where a run is.

    Attributes:
      state: of the training, leaves (run, ...).
      metrics: every logged line.
      notes: what the user must know about how it came here.
    """

    state: loop.TrainState
    metrics: Metrics
    notes: list[str]


def what_all_share(config: Config) -> dict[str, Any]:
    """Returns what must be the same in every process of a run."""
    here = environment.here()
    versions = {name: here[name] for name in ("jax", "jaxlib", "code")}
    return {**asdict(config), **settings.random_numbers(), **versions}


def _made(config: Config) -> dict[str, Any]:
    """Returns what may change while a run goes on, and is told."""
    processes = jax.process_count()
    return {**environment.here(), "mesh": config.mesh, "processes": processes}


def begin(config: Config, job: Job, out: Path | None, resume: bool) -> Trained:
    """Returns where to start: at a checkpoint, or at the beginning.

    Process 0 reads and tells the others; its metrics and notes are for it alone.
    """
    state, notes = starting.begun(config, job)
    if out is None and config.fork is not None:
        state, notes = forking.forked(config, config.fork, state)
    initial = Trained(state, metrics.no_lines(config), notes)
    if out is None:
        return initial
    read = by_first(lambda: _begun(config, initial, out, resume))
    begun = initial if read is None else read
    arrays = of_first(checkpoints.named_arrays(begun.state))
    return begun._replace(state=checkpoints.with_arrays(begun.state, arrays))


def _begun(config: Config, initial: Trained, out: Path, resume: bool) -> Trained:
    like = in_files(config, initial.state)
    found = _found(config, like, out) if resume else None
    if not resume and checkpoints.steps(folder_of(out)):
        raise ConfigError(
            f"out: {str(out)!r} holds a run that was saved at step "
            f"{checkpoints.steps(folder_of(out))[-1]}; go on with --resume, or name "
            "another folder"
        )
    if found is None:
        state, notes = initial.state, initial.notes
        if config.fork is not None:
            state, notes = forking.forked(config, config.fork, state)
        elif resume:
            notes = [*notes, f"No checkpoint in {out}: it starts at step 0."]
        begun = initial._replace(state=state, notes=notes)
    else:
        notes = [
            f"The checkpoint of step {step} is damaged; the run goes on from that of "
            f"step {found.step}."
            for step in found.damaged
        ]
        notes += environment.changes(found.made, _made(config), f"step {found.step}")
        checkpoints.clean(
            folder_of(out), damaged=found.damaged, keep=config.keep_checkpoints
        )
        state = found.state
        if config.valid is not None:
            _write_best(config, found.step, state, out)
        if config.num_seeds == 1:
            state = jax.tree.map(lambda leaf: leaf[None], state)
        begun = Trained(state, initial.metrics | found.history, notes)
    for note in begun.notes:
        print(note, file=sys.stderr)
    logs.rewrite(config, out, begun.metrics)
    return begun


def _found(
    config: Config, like: loop.TrainState, out: Path
) -> checkpoints.Restored | None:
    try:
        found = checkpoints.restore(folder_of(out), like, config=identity(config))
    except ValueError as error:
        raise ConfigError(f"out: {error}") from error
    if found is not None and found.step > config.num_steps:
        raise ConfigError(
            f"num_steps: got {config.num_steps}; it must be at least {found.step}, "
            f"where the run in {str(out)!r} already is"
        )
    return found


def folder_of(out: Path) -> Path:
    """Returns the folder of all checkpoints of a run."""
    return out / "checkpoints"


def best_of(out: Path) -> Path:
    """Returns the folder of the best weights, as of the newest checkpoint."""
    return out / "best"


def save(config: Config, trained: Trained, out: Path | None) -> float:
    """Writes a checkpoint; returns when the next one may follow."""
    start = time.monotonic()
    if out is not None:
        by_first(lambda: _write(config, trained, out))
    end = time.monotonic()
    return end + max(SECONDS_BETWEEN_CHECKPOINTS, (end - start) / SHARE_OF_TIME)


def _write(config: Config, trained: Trained, out: Path) -> None:
    """Writes the newest checkpoint, and after it the best one."""
    step, state = updates(trained.state), in_files(config, trained.state)
    checkpoints.save(
        folder_of(out),
        step,
        state,
        config=identity(config),
        history=trained.metrics,
        made=_made(config),
        keep=config.keep_checkpoints,
    )
    if config.valid is not None:
        _write_best(config, step, state, out)


def _write_best(config: Config, step: int, state: loop.TrainState, out: Path) -> None:
    """Writes the best weights, in place of what any other checkpoint said of them."""
    folder, nothing = best_of(out), cast(Any, ())
    checkpoints.clean(folder, damaged=tuple(checkpoints.steps(folder)))
    checkpoints.save(
        folder,
        step,
        at_best(state)._replace(opt_state=nothing, best=None),
        config=identity(config),
        history={},
        made=_made(config),
    )


def updates(state: loop.TrainState) -> int:
    """Returns the updates of the run that came furthest."""
    return int(np.max(state.step))
