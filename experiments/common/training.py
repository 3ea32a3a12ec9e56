"""Networks side by side: one cell, several forget biases, several seeds."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

import lstm_jax as lj
from experiments.common.progress import Advance
from experiments.common.variants import Variant, init_options
from lstm_jax.training import loop

MOST_UPDATES_PER_CALL = 50  # how often progress is shown


def optimizer(learning_rate: float) -> optax.GradientTransformation:
    """Returns Adam behind a clip of the gradient's global norm to 1."""
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(learning_rate))


def side_by_side(
    variants: Sequence[Variant], keys: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns keys and forget biases of all networks, (variant * seed,) each."""
    biases = [variant.forget_bias or 0.0 for variant in variants]
    return jnp.tile(keys, len(variants)), jnp.repeat(jnp.array(biases), len(keys))


def initial_models(
    variants: Sequence[Variant],
    keys: jax.Array,
    cell: lj.Cell,
    sizes: tuple[int, int, int],
    **options: Any,
) -> loop.ModelParams:
    """Returns untrained networks, leaves (variant * seed, ...).

    Args:
      variants: of one cell.
      keys: one per seed; every variant starts from the same ones.
      cell: theirs.
      sizes: of inputs, units and outputs.
      **options: of `cell.init`, beside the forget bias; those that it takes count.
    """
    inputs, hidden, outputs = sizes

    def one(key, forget_bias):
        given = init_options(variants[0].cell, forget_bias, **options)
        return loop.init_model(
            key, cell, inputs, outputs, hidden_size=hidden, init_options=given
        )

    return jax.jit(jax.vmap(one))(*side_by_side(variants, keys))


def trained_models(
    models: loop.ModelParams,
    cell: lj.Cell,
    task: lj.Task,
    *,
    seed: int,
    learning_rate: float,
    **how: Any,
) -> loop.ModelParams:
    """Returns the networks, leaves (network, ...), after training.

    Args:
      models: of `initial_models`.
      cell: of all networks.
      task: trained on.
      seed: the sequences follow from it; each network sees its own.
      learning_rate: of `optimizer`.
      **how: as in `train_side_by_side`.
    """
    keys = jax.random.split(jax.random.key(seed), len(jax.tree.leaves(models)[0]))
    transformation = optimizer(learning_rate)
    states = jax.vmap(lambda k, m: loop.begin_training(k, m, transformation))(
        keys, models
    )
    return train_side_by_side(states, cell, task, transformation, **how).params


def updates_per_call(num_steps: int) -> int:
    """Returns the largest divisor of num_steps that shows progress often enough."""
    most = min(MOST_UPDATES_PER_CALL, num_steps)
    return max(d for d in range(1, most + 1) if num_steps % d == 0)


def _nothing(update: int, states: loop.TrainState) -> None:
    del update, states  # nobody wants to see them


def one_by_one(of_one: Callable) -> Callable:
    """Returns what `jax.vmap(of_one)` returns, by a loop over the networks."""
    return partial(jax.lax.map, of_one)


def train_side_by_side(
    states: loop.TrainState,
    cell: lj.Cell,
    task: lj.Task,
    transformation: optax.GradientTransformation,
    *,
    num_steps: int,
    batch_size: int,
    length: int,
    what: str,
    advance: Advance,
    per_call: int | None = None,
    between: Callable[[int, loop.TrainState], None] = _nothing,
    over_networks: Callable[[Callable], Callable] = jax.vmap,
) -> loop.TrainState:
    """Returns the states, leaves (network, ...), after `num_steps` updates.

    Args:
      states: of `init_train_state`, vmapped.
      cell: of all networks.
      task: trained on.
      transformation: the optimiser.
      num_steps: updates; at least 1.
      batch_size: sequences per update.
      length: steps of a sequence.
      what: is being trained, for the progress.
      advance: called with one unit per update.
      per_call: updates in one compiled call, a divisor of num_steps;
        `updates_per_call(num_steps)` by default.
      between: called with the updates done and the states, at the start and after
        every compiled call.
      over_networks: makes of the updates of one network those of all; `jax.vmap` or
        `one_by_one`, which is quicker to compile.
    """
    per_call = updates_per_call(num_steps) if per_call is None else per_call
    some_steps = jax.jit(
        over_networks(
            partial(
                loop.train_steps,
                cell=cell,
                task=task,
                optimizer=transformation,
                num_steps=per_call,
                batch_size=batch_size,
                length=length,
            )
        )
    )
    advance(what, 0)
    between(0, states)
    for done in range(per_call, num_steps + 1, per_call):
        states, _ = jax.block_until_ready(some_steps(states))
        advance(what, per_call)
        between(done, states)
    return states
