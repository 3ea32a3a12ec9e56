"""Updates in a row: compiled as one piece, or as several that the caller sees between.

The numbers do not depend on how a training is cut, to the last bit.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Int

from lstm_jax.checks import check_function, check_whole
from lstm_jax.engine.placing import inside_shard_map, spread_like
from lstm_jax.tasks.task import Task
from lstm_jax.training.updates import History, TrainState, history_dtype

Step: TypeAlias = Callable[[TrainState], tuple[TrainState, History]]
OnChunk: TypeAlias = Callable[[TrainState, History], bool | None]


def train_steps(
    state: TrainState,
    num_steps: int,
    step: Step,
) -> tuple[TrainState, History]:
    """Returns the state after `num_steps` updates by `step`, of `step_function`.

    A second call goes on where the first one ended.
    """
    check_whole("num_steps", num_steps, 0)
    state = _settled(state, step)
    return jax.lax.scan(lambda state, _: step(state), state, length=num_steps)


def _settled(state: TrainState, step: Step) -> TrainState:
    """Returns the state, on the devices that an update leaves it on."""
    if not inside_shard_map():
        return state
    return spread_like(state, jax.eval_shape(step, state)[0])


def train_chunk(
    state: TrainState,
    num_steps: Int[Array, ""],
    step: Step,
    *,
    most_steps: int,
) -> tuple[TrainState, History]:
    """Returns the state after `num_steps` updates, a number that may be traced.

    One compiled program runs chunks of any size, so the results do not depend on how a
    run is cut, to the last bit. The history has `most_steps` entries, NaN beyond
    `num_steps`.
    """
    nothing = jnp.full((most_steps,), jnp.nan, history_dtype(state.params))

    def body(index, carried):
        state, history = carried
        state, entry = step(state)
        return state, jax.tree.map(lambda h, e: h.at[index].set(e), history, entry)

    start = _settled(state, step), History(nothing, nothing, nothing)
    return jax.lax.fori_loop(0, jnp.asarray(num_steps, jnp.int32), body, start)


def train_in_chunks(
    state: TrainState,
    num_steps: int,
    step_of: Callable[..., Step],
    task: Task,
    on_chunk: OnChunk,
    chunk: int,
) -> tuple[TrainState, History]:
    """Returns what `train_steps` does; calls `on_chunk` on the way, as in `train`.

    `step_of(task, ...)` is an update by a task; of one that is pulled, with the batch
    size and the length of the batch.
    """
    check_function("on_chunk", on_chunk, "(state, history) -> bool or None")
    check_whole("chunk", chunk, 1)
    _check_values(state, task)
    advance = _drawn if task.batches is None else _pulled
    histories = [History(*[jnp.zeros(0, history_dtype(state.params))] * 3)]
    pieces = advance(state, num_steps, step_of, task, chunk)
    for state, history in pieces:
        histories.append(history)
        if on_chunk(state, history):
            break
    return state, jax.tree.map(lambda *parts: jnp.concatenate(parts), *histories)


def ignored(state: TrainState, history: History) -> None:
    """Does nothing: the `on_chunk` of a training that nobody looks at."""
    del state, history


def _check_values(state: TrainState, task: Task) -> None:
    if not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(state)):
        return
    if task.batches is not None:
        raise ValueError(
            f"task: got {task.name!r} of batches under jit or vmap; it must not be "
            "there: its batches are pulled as the training goes"
        )
    raise ValueError(
        "on_chunk: got a function under jit or vmap; it must be None there: it is "
        "called with values"
    )


def _drawn(
    state: TrainState, num_steps: int, step_of: Callable, task: Task, chunk: int
) -> Iterator[tuple[TrainState, History]]:
    """Yields the state and the history after each chunk."""

    # The task is an argument: data that a program closes over are constants in it.
    @jax.jit
    def run(state, size, task):
        return train_chunk(state, size, step_of(task), most_steps=chunk)

    for done in range(0, num_steps, chunk):
        size = min(chunk, num_steps - done)
        state, history = run(state, size, task)
        yield state, jax.tree.map(lambda entries, size=size: entries[:size], history)


def _pulled(
    state: TrainState, num_steps: int, step_of: Callable, task: Task, chunk: int
) -> Iterator[tuple[TrainState, History]]:
    """Yields the same, of a task whose batches come one by one, as long as they do."""

    @partial(jax.jit, static_argnums=(2, 3))
    def update(state, task, batch_size, length):
        return step_of(task, batch_size, length)(state)

    batches, entries = islice(task.batches or (), num_steps), []
    for count, (sample, *sizes) in enumerate(batches, 1):
        state, entry = update(state, replace(task, sample=sample), *sizes)
        entries.append(entry)
        if count % chunk == 0:
            yield state, _stacked(entries)
            entries = []
    if entries:
        yield state, _stacked(entries)


def _stacked(entries: list[History]) -> History:
    return jax.tree.map(lambda *of: jnp.stack(of), *entries)
