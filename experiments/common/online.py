"""On-line training as in 1997: one sequence an update, plain steps, until it is solved.

Many nets side by side; a compiled call takes `SEQUENCES_PER_CALL` updates, and after
each the nets that are solved are counted.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import lstm_jax as lj
from experiments.common import compiling
from experiments.common.progress import Advance
from lstm_jax import readouts
from lstm_jax.cells import shapes
from lstm_jax.initializers import Initializer
from lstm_jax.training import loop, runs
from lstm_jax.training.runs import Recipe

SEQUENCES_PER_CALL = 1000


class Learned(NamedTuple):
    """Nets that were trained until they were solved, or time was up.

    Attributes:
      params: leaves (net, ...).
      solved_at: (net,), the sequence that met the criterion; inf where none did.
      curve: (net, call), mean loss of each call's sequences; NaN after the end.
    """

    params: loop.ModelParams
    solved_at: np.ndarray
    curve: np.ndarray


def sgd(learning_rate: float) -> optax.GradientTransformation:
    """Returns the steps of 1997, on errors that are halves of squares.

    There Δw = α f'(net) (target - output) ..., so that a loss without the factor 1/2
    takes α / 2.
    """
    return optax.sgd(learning_rate / 2)


def weights_within(bound: float) -> Initializer:
    """Returns weights from U[-bound, bound]."""

    def draw(key, shape, dtype=float):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return draw


def initial_nets(
    keys: jax.Array,
    cell: lj.Cell,
    sizes: tuple[int, int, int],
    bound: float,
    **options: Any,
) -> loop.ModelParams:
    """Returns a net for each key, leaves (net, ...), its weights from U[-bound, bound].

    `sizes` are those of inputs, units and outputs; `options` are of `cell.init`. Biases
    are as `cell.init` has them, those of the output units 0.
    """
    init, (inputs, hidden, outputs) = weights_within(bound), sizes
    taken = inspect.signature(cell.init).parameters
    inits = {n: init for n in ("input_init", "recurrent_init") if n in taken}

    def one(key):
        key_cell, key_readout = jax.random.split(key)
        cells = cell.init(key_cell, inputs, hidden, **inits, **options)
        shown = shapes.output_size(cell, cells, inputs)
        readout = readouts.init_linear(key_readout, shown, outputs, init=init)
        return loop.ModelParams(cell=cells, readout=readout)

    return jax.jit(jax.vmap(one), compiler_options=compiling.soon())(keys)


def num_weights(nets: loop.ModelParams) -> int:
    """Returns the weights of one net, biases among them."""
    return sum(leaf[0].size for leaf in jax.tree.leaves(nets))


def train(
    nets: loop.ModelParams,
    recipe: Recipe,
    keys: jax.Array,
    *,
    most: int,
    tell: Callable[[int, int], None],
) -> Learned:
    """Returns the nets after at most `most` sequences each.

    Args:
      nets: leaves (net, ...).
      recipe: of all nets; batch_size 1 is on-line.
      keys: one for each net; its sequences follow from it.
      most: sequences, rounded up to whole calls.
      tell: called with the sequences done and the nets solved, after every call.
    """
    program = runs.program(
        recipe, most_steps=SEQUENCES_PER_CALL, compiler_options=compiling.soon()
    )
    begin = jax.vmap(partial(loop.begin_training, optimizer=recipe.optimizer_of()))
    states = jax.jit(begin, compiler_options=compiling.soon())(keys, nets)
    curve, solved = [], np.zeros(len(keys), bool)
    calls = -(-most // SEQUENCES_PER_CALL)
    for call in range(1, calls + 1):
        states, history = program.steps(states, runs.Settings(), SEQUENCES_PER_CALL)
        curve.append(_means(np.asarray(history.loss)))
        solved = np.asarray(states.solved_at) >= 0
        tell(call * SEQUENCES_PER_CALL, int(solved.sum()))
        if solved.all():
            break
    rest = [np.full(len(keys), np.nan)] * (calls - len(curve))
    solved_at = np.where(solved, np.asarray(states.solved_at), np.inf)
    return Learned(states.params, solved_at, np.stack([*curve, *rest], axis=1))


def _means(losses: np.ndarray) -> np.ndarray:
    """Returns the mean over updates, (net,), of those that took place; NaN if none."""
    done = np.isfinite(losses)
    total = np.where(done, losses, 0).sum(1)
    return np.where(done.any(1), total / np.maximum(done.sum(1), 1), np.nan)


def ends_of_calls(most: int) -> list[int]:
    """Returns the sequences done at the end of each call, the axis of a curve."""
    calls = -(-most // SEQUENCES_PER_CALL)
    return [call * SEQUENCES_PER_CALL for call in range(1, calls + 1)]


def teller(advance: Advance, what: str = "nets of 1997") -> Callable[[int, int], None]:
    """Returns the `tell` of `train` that shows the progress, a unit for a sequence."""

    def tell(done, solved):
        del done
        advance(f"{what}: {solved} solved", SEQUENCES_PER_CALL)

    return tell


def num_wrong(
    recipe: Recipe, nets: loop.ModelParams, key: jax.Array, num_test: int
) -> np.ndarray:
    """Returns how many of `num_test` sequences each net gets wrong, (net,).

    By `task.correct`; the same sequences for all nets.

    Raises:
      ValueError: the task has no criterion.
    """
    correct = recipe.task.correct
    if correct is None:
        raise ValueError(
            f"task: got {recipe.task.name!r}; it must be one with a criterion"
        )

    def count(nets, key):
        batch = recipe.task.sample_test(key, num_test, recipe.length)

        def of_one(net):
            outputs = loop.predict(recipe.cell, recipe.task, net, batch)
            return (~correct(outputs, batch)).sum()

        return jax.lax.map(of_one, nets)

    counted = jax.jit(count, compiler_options=compiling.soon())(nets, key)
    return np.asarray(counted, float)
