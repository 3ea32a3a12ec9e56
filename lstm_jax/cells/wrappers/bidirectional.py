"""bidirectional: a cell that reads its sequence forwards and backwards."""

from collections.abc import Callable
from typing import Any, NoReturn

import jax
import jax.numpy as jnp

from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.cells.stochastic import (
    KeyedCell,
    joint_span,
    keyed_if,
    span_of,
    split_over_time,
    without_noise,
)
from lstm_jax.cells.wrappers.directions import Directions
from lstm_jax.factories import factory
from lstm_jax.types import PRNGKey, Shape


@factory
def bidirectional(cell: Cell) -> Cell:
    """Returns the layer that reads the sequence from both ends.

        y_t = [forward y_t, backward y_t]

    Params and carry are `Directions` of two; y has the forward direction's features
    first. `init` hands its options to both. It runs in `unroll`, `train` and `evaluate`
    and in a `stack`; what goes step by step refuses it, for its first output needs the
    last input. `train` reads an answer at the last step where each direction has read
    the whole sequence: the forward one at the last step, the backward one at the first.

    Args:
      cell: of both directions, each with its own weights.

    Raises:
      ValueError: in a step, which it does not have.

    Example:
      >>> cell = lj.cells.bidirectional(lj.LSTM)
      >>> params = cell.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> carry, ys = lj.unroll(cell, params, jnp.ones((5, 2, 3)))
      >>> ys.shape, carry.backward.h.shape
      ((5, 2, 8), (2, 4))

    References:
      Schuster & Paliwal (1997), https://doi.org/10.1109/78.650093
    """
    check_cell("cell", cell)
    name = f"bidirectional({cell.name})"
    spans = (span_of(cell),) * 2

    def init(
        key: PRNGKey, input_size: int, hidden_size: int, **options: Any
    ) -> Directions:
        keys = jax.random.split(key)
        return Directions(
            *(cell.init(one, input_size, hidden_size, **options) for one in keys)
        )

    def init_carry(params: Directions, batch_shape: Shape = ()) -> Directions:
        return Directions(*(cell.init_carry(one, batch_shape) for one in params))

    def step(params: Any, carry: Any, x: Any) -> NoReturn:
        raise ValueError(
            f"cell: got {name!r}, which has no single step: it also reads the sequence "
            "from its end; it must be run over all of it, by lj.unroll, or be the cell "
            "of one direction"
        )

    def over(run: Callable, params: Directions, xs: Any, carry: Directions) -> Any:
        x, keys = split_over_time(xs, spans, name)
        sides = [
            run(cell, of_side, keyed_if(x, key), entering, reverse=reverse)
            for of_side, key, entering, reverse in zip(
                params, keys, carry, (False, True), strict=True
            )
        ]
        carries, ys = zip(*sides, strict=True)
        both = jax.tree.map(lambda *y: jnp.concatenate(y, axis=-1), *ys)
        return Directions(*carries), both

    fields = {
        "name": name,
        "init": init,
        "init_carry": init_carry,
        "step": step,
        "over": over,
        "directions": (2,),
        "input_axes": cell.input_axes,
        "family": cell.family,
    }
    if not isinstance(cell, KeyedCell):
        return Cell(**fields)
    return KeyedCell(
        **fields, per=joint_span(spans), evaluated=bidirectional(without_noise(cell))
    )
