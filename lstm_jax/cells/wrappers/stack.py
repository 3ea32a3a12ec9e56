"""stack: cells on top of one another, as one cell."""

from collections.abc import Callable
from typing import Any

import jax

from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.cells.shapes import output_size
from lstm_jax.cells.stochastic import (
    KeyedCell,
    check_keyed,
    joint_span,
    keyed_if,
    span_of,
    split_keys,
    split_over_time,
    without_noise,
)
from lstm_jax.factories import factory
from lstm_jax.types import PRNGKey, Shape


def stack(*cells: Cell) -> Cell:
    """Returns the cell whose layer l reads what layer l - 1 shows.

        carry_l, y_l = cell_l(params_l, carry_l, y_{l-1}),    y_0 = x,    y = y_L

    Params and carry are tuples, one entry per layer. `init` hands its options to every
    layer, each with hidden_size units. `unroll` runs the layers one after the other
    over the whole sequence, which gives the same and is faster.

    If layers draw random numbers, so does the stack, with a key for each of them.
    Dropout between two layers is that of the lower one's output, or input dropout of
    the upper one, with one mask for the sequence:

        stack(dropout(LSTM, 0.3), LSTM)
        stack(LSTM, variational_dropout(LSTM, input_rate=0.3))

    Args:
      *cells: from the bottom to the top, at least one.

    Raises:
      ValueError: no cell was given.

    Example:
      >>> cell = lj.stack(lj.LSTM, lj.GRU)
      >>> cell
      <Cell 'lstm > gru'; gates 0.i, 0.f, 0.g, 0.o, 1.r, 1.z, 1.n>
      >>> params = cell.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> [layer.w_ih.shape for layer in params]
      [(3, 16), (4, 12)]

    References:
      Graves, Mohamed & Hinton (2013), https://arxiv.org/abs/1303.5778
    """
    if not cells:
        raise ValueError("cells: got none; a stack needs at least one")
    for cell in cells:
        check_cell("cells", cell)
    return _stack(cells)


@factory
def _stack(cells: tuple[Cell, ...]) -> Cell:
    name = " > ".join(cell.name for cell in cells)
    spans = tuple(map(span_of, cells))
    draws = any(spans)

    def init(
        key: PRNGKey, input_size: int, hidden_size: int, **options: Any
    ) -> tuple[Any, ...]:
        layers = []
        for cell, layer_key in zip(
            cells, jax.random.split(key, len(cells)), strict=True
        ):
            if layers:
                input_size = output_size(cells[len(layers) - 1], layers[-1], input_size)
            layers.append(cell.init(layer_key, input_size, hidden_size, **options))
        return tuple(layers)

    def init_carry(params: tuple, batch_shape: Shape = ()) -> tuple[Any, ...]:
        return tuple(
            cell.init_carry(of_layer, batch_shape)
            for cell, of_layer in zip(cells, params, strict=True)
        )

    def step(params: tuple, carry: tuple, x: Any) -> tuple[tuple, Any]:
        keys, leaving = [None] * len(cells), []
        if draws:
            check_keyed(x, name)
            x, keys = x.x, split_keys(x.key, spans)
        for cell, key, *of_layer in zip(cells, keys, params, carry, strict=True):
            layer_carry, x = cell.step(*of_layer, keyed_if(x, key))
            leaving.append(layer_carry)
        return tuple(leaving), x

    def over(run: Callable, params: tuple, xs: Any, carry: tuple) -> tuple[tuple, Any]:
        x, keys = split_over_time(xs, spans, name)
        leaving = []
        for cell, key, of_layer, entering in zip(
            cells, keys, params, carry, strict=True
        ):
            left, x = run(cell, of_layer, keyed_if(x, key), entering)
            leaving.append(left)
        return tuple(leaving), x

    fields = {
        "name": name,
        "init": init,
        "init_carry": init_carry,
        "step": step,
        "over": over,
        "directions": sum((cell.directions for cell in cells), ()),
        "layers": cells,
        "input_axes": cells[0].input_axes,
        "gates": tuple(
            f"{at}.{gate}" for at, c in enumerate(cells) for gate in c.gates
        ),
    }
    if not draws:
        return Cell(**fields)
    return KeyedCell(
        **fields,
        per=joint_span(spans),
        evaluated=stack(*map(without_noise, cells)),
    )
