"""The net of experiments 4 and 6a of 1997: two blocks of two cells, trained on-line.

All units but the inputs have a bias. Weights are from U[-0.1, 0.1], biases 0, but for
those of the input gates, which open one block after the other. The gradient is the
truncated one; one sequence an update, until so many in a row were right.

Source: Hochreiter & Schmidhuber (1997), sections 5.4 and 5.6,
https://doi.org/10.1162/neco.1997.9.8.1735
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj
from experiments.common import online, rows
from experiments.common.records import Quantity, Record
from experiments.common.rows import Check
from lstm_jax.training import loop
from lstm_jax.training.runs import Recipe

CELL = lj.cells.lstm97(block_size=2, truncated=True)
HIDDEN = 4
BOUND = 0.1
NUM_TEST = 2560


class Setting(NamedTuple):
    """What nets are trained on, and for how long.

    Attributes:
      task: with logistic output units, or linear ones.
      input_biases: of the input gates, (block,).
      lag: T; sequences have T to 1.1 T steps.
      rate: the learning rate, on half the squared error.
      in_a_row: right sequences; they end a net.
      most: sequences of a net.
    """

    task: lj.Task
    input_biases: tuple[float, float]
    lag: int
    rate: float
    in_a_row: int
    most: int


class Trained(NamedTuple):
    """Nets after their training.

    Attributes:
      solved_at: (net,), the sequence that met the criterion; inf where none did.
      wrong: (net,), of `NUM_TEST` test sequences.
      error: (net, sequence), the curve of `online.train`.
      num_weights: of one net.
    """

    solved_at: np.ndarray
    wrong: np.ndarray
    error: np.ndarray
    num_weights: int


def nets(
    keys: jax.Array, task: lj.Task, input_biases: tuple[float, float]
) -> loop.ModelParams:
    """Returns a net for each key, untrained, leaves (net, ...)."""
    sizes = task.input_size, HIDDEN, task.output_size
    biases = jnp.array(input_biases)
    return online.initial_nets(keys, CELL, sizes, BOUND, input_bias=biases)


def train(
    setting: Setting,
    num_nets: int,
    key: jax.Array,
    key_test: jax.Array,
    tell: Callable[[int, int], None],
) -> Trained:
    """Trains and tests nets.

    Args:
      setting: of all nets.
      num_nets: nets.
      key: weights and sequences of the nets follow from it.
      key_test: of the test sequences, the same for all nets.
      tell: as in `online.train`.
    """
    recipe = Recipe(
        CELL,
        setting.task,
        partial(online.sgd, setting.rate),
        hidden_size=HIDDEN,
        batch_size=1,
        length=setting.lag + setting.lag // 10,
        stop_after=setting.in_a_row,
    )
    of_weights, keys = (jax.random.split(of, num_nets) for of in jax.random.split(key))
    begun = nets(of_weights, setting.task, setting.input_biases)
    learned = online.train(begun, recipe, keys, most=setting.most, tell=tell)
    wrong = online.num_wrong(recipe, learned.params, key_test, NUM_TEST)
    num_weights = online.num_weights(learned.params)
    return Trained(learned.solved_at, wrong, learned.curve, num_weights)


def quantities(
    trained: Sequence[Trained], axis: str | None = None
) -> dict[str, Quantity]:
    """Returns what a record holds of trainings: along an axis, or net after net."""
    solved_at, wrong, error, num_weights = zip(*trained, strict=True)
    join, axes = np.concatenate, ("net",)
    if axis is not None:
        join, axes = np.stack, (axis, "net")
    return {
        "num_weights": Quantity(np.array(num_weights[0]), (), "1"),
        "solved_at": Quantity(join(solved_at), axes, "sequences"),
        "wrong": Quantity(join(wrong), axes, "1"),
        "error": Quantity(join(error), (*axes, "sequence"), "1"),
    }


def last_errors(curves: np.ndarray) -> np.ndarray:
    """Returns the last entry that took place of each of the curves, (net, sequence)."""
    return np.array([curve[np.isfinite(curve)][-1] for curve in curves])


# -- Criteria ------------------------------------------------------------------------


def check_solved(
    what: str,
    published: str,
    solved_at: np.ndarray,
    wrong: np.ndarray,
    within: str,
) -> Check:
    """Returns the criterion that 8 of 10 nets are solved.

    Args:
      what: of the check, as is `published`.
      published: the paper's numbers.
      solved_at: (net,), inf where a net was not.
      wrong: (net,), of `NUM_TEST` sequences.
      within: sequences that a net has, and T.
    """
    solved, told = np.isfinite(solved_at), ""
    if solved.any():
        told = (
            f"; median {np.median(solved_at[solved]):,.0f} sequences of those, median "
            f"{np.median(wrong[solved]):.0f} of {NUM_TEST} test sequences wrong"
        )
    count = rows.count(int(solved.sum()), solved.size)
    return Check(
        what, published, f"{count} within {within}{told}", bool(solved.mean() >= 0.8)
    )


def check_weights(record: Record, wanted: int) -> Check:
    """Returns the criterion that a net of 1997 has the paper's number of weights."""
    found = int(record.arrays["num_weights"].values)
    return Check("weights of the net of 1997", str(wanted), str(found), found == wanted)
