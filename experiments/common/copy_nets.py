"""Networks that learn to copy, trained as Arjovsky et al. (2016) train theirs.

As in https://github.com/amarshah/complex_RNN: RMSProp, every gradient clipped to ±1.
"""

from functools import partial
from typing import Any

import jax
import numpy as np
import optax

import lstm_jax as lj
from experiments.common import compiling
from lstm_jax.training import runs
from lstm_jax.training.runs import Recipe

TASK = lj.tasks.COPY_MEMORY
LEAST_SQUARE = 1e-3  # at which RMSProp begins
NUM_TEST = 500


def optimizer(rate: float, slower: float = 1.0) -> optax.GradientTransformation:
    """Returns RMSProp behind a clip of every number to ±1; W_hh at a slower rate."""

    def of(rate: float) -> optax.GradientTransformation:
        # Without an ε; this one only keeps 0 / 0 away.
        return optax.rmsprop(
            rate, decay=0.9, eps=1e-20, eps_in_sqrt=False, initial_scale=LEAST_SQUARE
        )

    def kinds(params: Any) -> Any:
        named = lambda path, _: jax.tree_util.keystr(path).endswith("w_hh")
        return jax.tree_util.tree_map_with_path(named, params)

    both = optax.partition({True: of(slower * rate), False: of(rate)}, kinds)
    return optax.chain(optax.clip(1.0), both)


def length_of(config: Any) -> int:
    """Returns the steps of a sequence."""
    return config.delay + 20  # ten symbols shown, and ten asked for


def trained(
    config: Any, cell: lj.Cell, size: int, slower: float, options: dict[str, Any]
) -> tuple[Any, np.ndarray, np.ndarray]:
    """Returns models, losses (seed, update) and losses on fresh sequences (seed,).

    `config` has num_seeds, num_updates, batch_size, learning_rate, delay and seed; W_hh
    learns at the rate times `slower`, and `options` are those of `cell.init`.
    """
    recipe = Recipe(
        cell,
        TASK,
        partial(optimizer, config.learning_rate, slower),
        hidden_size=size,
        batch_size=config.batch_size,
        length=length_of(config),
        init_options=options,
    )
    program = runs.program(
        recipe,
        most_steps=config.num_updates,
        runs_at_once=1,
        compiler_options=compiling.soon(),
    )
    keys = jax.random.split(jax.random.key(config.seed), config.num_seeds)
    settings = runs.Settings()
    states = program.begin(keys, settings)
    states, history = program.steps(states, settings, config.num_updates)
    of_test = jax.random.fold_in(jax.random.key(config.seed), 3)
    of_tests = jax.random.split(of_test, config.num_seeds)
    tested = program.test(of_tests, states, NUM_TEST, length_of(config))
    return states.params, np.asarray(history.loss), np.asarray(tested.loss)
