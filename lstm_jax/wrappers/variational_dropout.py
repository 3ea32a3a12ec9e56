"""variational_dropout: one dropout mask for a whole sequence."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.checks import check_number
from lstm_jax.factories import factory
from lstm_jax.types import PRNGKey
from lstm_jax.wrappers.keyed import KeyedCell, check_keyed


@factory
def variational_dropout(
    cell: Cell, *, input_rate: int | float = 0.0, hidden_rate: int | float = 0.0
) -> KeyedCell:
    """Returns the cell that does not see some of its inputs, the same at every step.

        m ~ Bernoulli(1 - rate) / (1 - rate),    the cell reads m_x * x_t, m_h * h_{t-1}

    The mask is drawn from the key of the step: with the same key at every step,
    `with_keys(key, xs, per="sequence")`, it holds for the sequence; with one per step
    it is ordinary dropout. Evaluation uses the given cell itself.

    Args:
      cell: the cell.
      input_rate: in [0, 1), share of the features of x that are dropped.
      hidden_rate: in [0, 1), share of the units of h that the gates do not see. The
        carry must then have fields h and c, of which c is left alone.

    Raises:
      ValueError: a rate is not allowed, or there is a hidden_rate and no such carry.

    References:
      Gal & Ghahramani (2016), https://arxiv.org/abs/1512.05287
    """
    check_cell("cell", cell)
    check_number("input_rate", input_rate, "[0, 1)")
    check_number("hidden_rate", hidden_rate, "[0, 1)")

    def step(params: Any, carry: Any, keyed: Any) -> tuple[Any, Any]:
        check_keyed(keyed, name)
        if hidden_rate and not {"h", "c"} <= set(getattr(carry, "_fields", ())):
            raise ValueError(
                f"hidden_rate: got {hidden_rate}; the carry of {cell.name!r} has no "
                "h beside a c, so dropping h would erase its memory"
            )
        key_x, key_h = jax.random.split(keyed.key)
        if hidden_rate:
            carry = carry._replace(h=_dropped(key_h, carry.h, hidden_rate))
        return cell.step(params, carry, _dropped(key_x, keyed.x, input_rate))

    name = f"variational_dropout({cell.name})"
    return KeyedCell(
        name=name,
        init=cell.init,
        init_carry=cell.init_carry,
        step=step,
        input_axes=cell.input_axes,
        per="sequence",
        evaluated=cell,
    )


def _dropped(key: PRNGKey, values: Array, rate: int | float) -> Array:
    if not rate:
        return values
    kept = jax.random.bernoulli(key, 1 - rate, values.shape)
    return jnp.where(kept, values / (1 - rate), 0)
