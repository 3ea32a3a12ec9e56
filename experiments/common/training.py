"""Networks side by side: one cell, several forget biases, several seeds."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstm_jax as lj
from experiments.common import compiling, devices
from experiments.common.progress import Advance
from experiments.common.variants import Variant, init_options
from lstm_jax.training import loop, runs
from lstm_jax.training.runs import Recipe

MOST_UPDATES_PER_CALL = 50  # so that progress is shown this often


def optimizer(learning_rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    """Returns Adam behind a clip of the gradient's global norm to 1."""
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(learning_rate))


def recipe_of(config: Any, cell: lj.Cell, task: lj.Task, length: int) -> Recipe:
    """Returns what all networks of an experiment share, trained by `optimizer`.

    `config` has hidden_size, batch_size and learning_rate.
    """
    return Recipe(
        cell,
        task,
        partial(optimizer, config.learning_rate),
        hidden_size=config.hidden_size,
        batch_size=config.batch_size,
        length=length,
    )


def side_by_side(
    variants: Sequence[Variant], keys: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns keys and forget biases of all networks, (variant * seed,) each."""
    biases = [variant.forget_bias or 0.0 for variant in variants]
    of_all = jnp.asarray(np.repeat(biases, len(keys)))
    return jnp.tile(keys, len(variants)), of_all


def initial_models(
    variants: Sequence[Variant],
    keys: jax.Array,
    cell: lj.Cell,
    sizes: tuple[int, int, int],
    **options: Any,
) -> loop.ModelParams:
    """Returns untrained networks, leaves (variant * seed, ...).

    Every variant starts from the same keys, one per seed; `sizes` are those of inputs,
    units and outputs. Options that this cell's `init` doesn't take are ignored.
    """
    make = _initial(variants[0].cell, cell, sizes, tuple(sorted(options.items())))
    made = [make(keys, variant.forget_bias or 0.0) for variant in variants]
    # NumPy joins them without compiling a program for every shape.
    return jax.tree.map(lambda *leaves: jnp.asarray(np.concatenate(leaves)), *made)


@cache
def _initial(
    name: str, cell: lj.Cell, sizes: tuple[int, int, int], options: Any
) -> Any:
    """Returns a function of keys and a forget bias; it compiles once for all biases."""
    inputs, hidden, outputs = sizes

    def one(key, forget_bias):
        given = init_options(name, forget_bias, **dict(options))
        return loop.init_model(
            key, cell, inputs, outputs, hidden_size=hidden, init_options=given
        )

    over_keys = jax.vmap(one, in_axes=(0, None))
    return jax.jit(over_keys, compiler_options=compiling.soon())


def trained_models(
    models: loop.ModelParams, recipe: Recipe, *, seed: int, **how: Any
) -> loop.ModelParams:
    """Returns networks, leaves (network, ...), after `train_side_by_side`.

    Each sees its own sequences, which follow from `seed`.
    """
    keys = jax.random.split(jax.random.key(seed), len(jax.tree.leaves(models)[0]))
    begin = jax.vmap(partial(loop.begin_training, optimizer=recipe.optimizer_of()))
    states = jax.jit(begin, compiler_options=compiling.soon())(keys, models)
    return train_side_by_side(states, recipe, **how).params


def _nothing(update: int, states: loop.TrainState) -> None:
    del update, states  # the default of `between`


def train_side_by_side(
    states: loop.TrainState,
    recipe: Recipe,
    *,
    num_steps: int,
    what: str,
    advance: Advance,
    every: int | None = None,
    between: Callable[[int, loop.TrainState], None] = _nothing,
    runs_at_once: int | None = None,
) -> loop.TrainState:
    """Returns the states, leaves (network, ...), after `num_steps` updates.

    The devices of a CPU get equal parts of the networks, the first ones again where
    there are too few.

    Args:
      states: of all networks.
      recipe: of all networks.
      num_steps: updates; at least 1.
      what: shown by the progress.
      advance: called with one unit per update.
      every: no compiled call passes a multiple of this; num_steps by default.
      between: called with the updates done and the states, at the start and after
        every compiled call.
      runs_at_once: networks that a device trains at a time; all by default. 1
        compiles faster.
    """
    networks = len(jax.tree.leaves(states)[0])
    mesh = devices.mesh_of_networks(networks)
    program = runs.program(
        recipe,
        most_steps=MOST_UPDATES_PER_CALL,
        mesh=mesh,
        runs_at_once=runs_at_once,
        compiler_options=compiling.soon(),
    )
    every, done = every or num_steps, 0
    advance(what, 0)
    between(0, states)
    placed = program.place(_filled(states, 1 if mesh is None else mesh.size))
    while done < num_steps:
        due = done + every - done % every
        count = min(due, num_steps, done + MOST_UPDATES_PER_CALL) - done
        called = program.steps(placed, runs.Settings(), count)
        placed, _ = jax.block_until_ready(called)
        states = _first(networks, program.gather(placed))
        done += count
        advance(what, count)
        between(done, states)
    return states


def _filled(states: loop.TrainState, devices: int) -> loop.TrainState:
    """Returns the networks and, after them, the first ones again, a number for each."""
    missing = -len(jax.tree.leaves(states)[0]) % devices
    if not missing:
        return states
    return jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf[:missing]]), states)


def _first(networks: int, states: loop.TrainState) -> loop.TrainState:
    if len(jax.tree.leaves(states)[0]) == networks:
        return states
    return jax.tree.map(lambda leaf: leaf[:networks], states)
