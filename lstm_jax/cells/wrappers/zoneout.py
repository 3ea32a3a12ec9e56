"""zoneout: now and then a unit keeps its memory unchanged."""

from typing import Any

import jax
import jax.numpy as jnp

from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.cells.stochastic import (
    KeyedCell,
    check_keyed,
    joint_span,
    keyed_if,
    noisy,
    span_of,
    split_keys,
)
from lstm_jax.checks import check_number
from lstm_jax.factories import factory


@factory
def zoneout(cell: Cell, rate: int | float = 0.0, **rates: int | float) -> KeyedCell:
    """Returns the cell whose memory stays as it was, unit by unit, at random.

        m_t ~ Bernoulli(rate),    carry_t = m_t * carry_{t-1} + (1 - m_t) * carry'_t

    with carry' what the given cell computes. If the cell shows a leaf of its carry as
    y, as most do, y is that leaf after zoneout. It reads `Keyed(x, key)`, see
    `with_keys`; evaluation uses the given cell itself, without any noise. The paper's
    LSTM is `zoneout(LSTM, h=0.05, c=0.5)`.

    Args:
      cell: the cell, with floating leaves in its carry.
      rate: in [0, 1), for the leaves of the carry without their own rate.
      **rates: by the name of a field of the carry.

    Raises:
      ValueError: a rate is not allowed; or, in a step, the carry has no such field.

    Example:
      >>> cell = lj.zoneout(lj.LSTM, c=0.5, h=0.05)
      >>> params = cell.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = lj.with_keys(jax.random.key(1), jnp.ones((5, 2, 3)))
      >>> lj.unroll(cell, params, xs)[1].shape
      (5, 2, 4)

    References:
      Krueger et al. (2016), https://arxiv.org/abs/1606.01305
    """
    check_cell("cell", cell)
    for name, value in {"rate": rate, **rates}.items():
        check_number(name, value, "[0, 1)")
    spans = ("step", span_of(cell))

    def step(params: Any, carry: Any, keyed: Any) -> tuple[Any, Any]:
        check_keyed(keyed, cell_name)
        key, inside = split_keys(keyed.key, spans)
        new, y = cell.step(params, carry, keyed_if(keyed.x, inside))
        leaves, structure = jax.tree.flatten(new)
        keys = jax.random.split(key, len(leaves))
        of_leaves = zip(
            keys,
            _rates_of_leaves(new, rate, rates),
            jax.tree.leaves(carry),
            leaves,
            strict=True,
        )
        kept = [
            jnp.where(jax.random.bernoulli(key, of_leaf, leaf.shape), before, leaf)
            for key, of_leaf, before, leaf in of_leaves
        ]
        shown = [after for leaf, after in zip(leaves, kept, strict=True) if leaf is y]
        return jax.tree.unflatten(structure, kept), shown[0] if shown else y

    cell_name = f"zoneout({cell.name})"
    return noisy(cell, cell_name, step, joint_span(spans))


def _rates_of_leaves(
    carry: Any, rate: int | float, rates: dict[str, int | float]
) -> list[int | float]:
    if not rates:
        return [rate] * len(jax.tree.leaves(carry))
    fields = getattr(carry, "_fields", ())
    if set(rates) - set(fields):
        raise ValueError(
            f"rates: got {', '.join(rates)}; the carry has the fields "
            f"{', '.join(fields) or 'none'}"
        )
    return [
        rates.get(field, rate)
        for field in fields
        for _ in jax.tree.leaves(getattr(carry, field))
    ]
