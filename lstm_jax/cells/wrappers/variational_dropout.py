"""variational_dropout: one dropout mask for a whole sequence."""

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
)
from lstm_jax.cells.wrappers.memory_reads import (
    Readings,
    read_by_products,
    with_products_of,
)
from lstm_jax.checks import check_number
from lstm_jax.engine.programs import trace
from lstm_jax.factories import factory


@factory
def variational_dropout(
    cell: Cell, *, input_rate: int | float = 0.0, hidden_rate: int | float = 0.0
) -> KeyedCell:
    """Returns the cell with some inputs hidden from it, the same ones at every step.

        m ~ Bernoulli(1 - rate) / (1 - rate)
        the cell reads m_x * x_t, and its matrix products read m_h * h_{t-1}

    Only products see the mask: a GRU computes r, z and n from m_h * h_{t-1}, but
    h_t = z * h_{t-1} + (1 - z) * n from h_{t-1} itself. If products read several leaves
    of the carry, as in a stack, each leaf has its own mask.

    The mask is drawn from the key of the step: with the same key at every step,
    `with_keys(key, xs, per="sequence")`, it holds for the sequence; with one per step
    it is ordinary dropout. Evaluation uses the given cell itself, without any noise.
    Between the layers of a stack:

        stack(LSTM, variational_dropout(LSTM, input_rate=0.3))

    Args:
      cell: the cell.
      input_rate: in [0, 1), share of the features of x that are dropped.
      hidden_rate: in [0, 1), share of the units of h hidden from the products. A
        product also reads h after it was multiplied by a gate, moved or joined with x;
        a sum that contains h is new memory and read whole.

    Raises:
      ValueError: a rate is not allowed; or, in a step, there is a hidden_rate and no
        product reads memory, as in an IndRNN, or one might inside a loop or a
        `jax.checkpoint`.

    Example:
      >>> dropped = lj.cells.variational_dropout(lj.LSTM, input_rate=0.3)
      >>> cell = lj.stack(lj.LSTM, dropped)
      >>> params = cell.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = lj.with_keys(jax.random.key(1), jnp.ones((5, 2, 3)))
      >>> lj.unroll(cell, params, xs)[1].shape
      (5, 2, 4)

    References:
      Gal & Ghahramani (2016), https://arxiv.org/abs/1512.05287
    """
    check_cell("cell", cell)
    check_number("input_rate", input_rate, "[0, 1)")
    check_number("hidden_rate", hidden_rate, "[0, 1)")
    spans = ("sequence", span_of(cell))

    def step(params: Any, carry: Any, keyed: Any) -> tuple[Any, Any]:
        check_keyed(keyed, name)
        key, inside = split_keys(keyed.key, spans)
        key_x, key_h = jax.random.split(key)
        x = keyed_if(dropped(key_x, keyed.x, input_rate), inside)
        if not hidden_rate:
            return cell.step(params, carry, x)
        program = trace(cell.step, params, carry, x)
        read = _checked_readings(read_by_products(program), hidden_rate, cell.name)
        keys = [key_h] if len(read) == 1 else jax.random.split(key_h, len(read))
        leaves = jax.tree.leaves(carry)
        masked = {
            at: dropped(one, leaves[at], hidden_rate)
            for at, one in zip(read, keys, strict=True)
        }
        return with_products_of(masked, program, params, carry, x)

    name = f"variational_dropout({cell.name})"
    return noisy(cell, name, step, joint_span(spans))


def _checked_readings(found: Readings, rate: int | float, cell: str) -> tuple[int, ...]:
    """Refuses a cell without a product from which memory can be hidden."""
    reason = "" if found.leaves else "no matrix product reads its memory"
    if found.elsewhere:
        reason = "a loop or a jax.checkpoint reads its memory, where no mask reaches"
    if reason:
        raise ValueError(
            f"hidden_rate: got {rate}; it must be 0 for {cell!r}: {reason}"
        )
    return found.leaves
