"""dropout: some of what a cell shows is hidden, anew at every step."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.cells.stochastic import (
    KeyedCell,
    check_keyed,
    dropped,
    joint_span,
    keyed_if,
    noisy,
    span_of,
    split_keys,
    split_over_time,
)
from lstm_jax.checks import check_number
from lstm_jax.factories import factory


@factory
def dropout(cell: Cell, rate: int | float) -> KeyedCell:
    """Returns the cell whose output, but not its memory, is partly hidden in training.

        m_t ~ Bernoulli(1 - rate) / (1 - rate),    y_t = m_t * (y_t of the cell)

    with an m for every step, sequence and feature, as `torch.nn.LSTM(dropout=)` has it
    between layers. In a `stack` it acts between the layers, and on the last one before
    the readout:

        stack(dropout(LSTM, 0.3), dropout(LSTM, 0.3))

    It reads `Keyed(x, key)`, see `with_keys`; evaluation uses the given cell itself.

    Args:
      cell: the cell.
      rate: in [0, 1), share of the features of y that are dropped.

    Raises:
      ValueError: the rate is not allowed.

    Example:
      >>> cell = lj.cells.dropout(lj.LSTM, 0.5)
      >>> params = cell.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = lj.with_keys(jax.random.key(1), jnp.ones((5, 2, 3)))
      >>> bool((lj.unroll(cell, params, xs)[1] == 0).any())
      True

    References:
      Zaremba, Sutskever & Vinyals (2014), https://arxiv.org/abs/1409.2329
    """
    check_cell("cell", cell)
    check_number("rate", rate, "[0, 1)")
    spans = ("step", span_of(cell))
    name = f"dropout({cell.name})"

    def step(params: Any, carry: Any, keyed: Any) -> tuple[Any, Any]:
        check_keyed(keyed, name)
        key, inside = split_keys(keyed.key, spans)
        carry, y = cell.step(params, carry, keyed_if(keyed.x, inside))
        return carry, dropped(key, y, rate)

    def over(run: Callable, params: Any, xs: Any, carry: Any) -> tuple[Any, Any]:
        x, (keys, inside) = split_over_time(xs, spans, name)
        carry, ys = run(cell, params, keyed_if(x, inside), carry)
        return carry, jax.vmap(partial(dropped, rate=rate))(keys, ys)

    return noisy(cell, name, step, joint_span(spans), over)
