"""block_diagonal: a cell in heads, each of which reads its own memory alone."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell, check_cell
from lstm_jax.cells.stochastic import like
from lstm_jax.checks import check_key, check_whole
from lstm_jax.factories import factory
from lstm_jax.types import Params, PRNGKey, Shape

# In the order of the params, by which the gates are told apart.
OF_THE_LESSON = ("w_n", "w_i", "w_f", "w_u", "w_v")


def block_diagonal(cell: Cell, heads: int) -> Cell:
    """Returns the cell whose recurrent matrices are block-diagonal: a block a head.

        W_hh = [ W_1          ]
               [     ...      ]      for every gate, W_k (hidden/heads, hidden/heads)
               [          W_n ]

    The gates of a head read the units of this head, and the event. The equations, the
    carry and all other weights are the cell's; of W_hh, params hold the rows of a head,

        w_hh (hidden/heads, gates * hidden),    unit j: what it reads of its own head

    Every block starts as the w_hh of a cell of hidden/heads units: with the defaults,
    orthogonal.

    The whole W_hh is multiplied, zeros included. On a CPU the gradient of 64 units in
    4 heads takes half the time of an einsum over the heads, that of 512 units in 8
    heads 2.5 times: with many units in many heads the zeros cost more than they save.

    The factories of such cells have it as an option: `lj.cells.lstm(heads=2)`.

    Args:
      cell: one with a w_hh (hidden, gates * hidden), such as an RNN, an LSTM, a GRU and
        their kin; or the four-gate cell, whose W_u and rows that read the STM are
        block-diagonal. Weights between units in other fields stay whole, and a
        normalisation over all units is one still.
      heads: at least 1, the cell itself. hidden_size must be a multiple of it.

    Raises:
      TypeError: an argument has a type that is not allowed.
      ValueError: no heads; or, in `init`, another hidden_size, or a cell without such
        a w_hh.

    Example:
      >>> cell = lj.cells.block_diagonal(lj.LSTM, heads=2)
      >>> cell, cell.init(jax.random.key(0), input_size=3, hidden_size=4).w_hh.shape
      (<Cell 'lstm_2_heads'; gates i, f, g, o; memory c>, (2, 16))

    References:
      Beck et al. (2024), xLSTM, https://arxiv.org/abs/2405.04517
      Pöppel, Beck & Hochreiter (2024), FlashRNN, https://arxiv.org/abs/2412.07752
    """
    check_cell("cell", cell)
    heads = check_whole("heads", heads, 1)
    return cell if heads == 1 else _block_diagonal(cell, heads)


# Apart from `block_diagonal`, so that every way of calling it gives the same cell.
@factory
def _block_diagonal(cell: Cell, heads: int) -> Cell:
    def init(key: PRNGKey, input_size: int, hidden_size: int, **options: Any) -> Params:
        check_key("key", key)
        units = _units_of(hidden_size, heads)
        key_cell, key_heads = jax.random.split(key)
        whole = cell.init(key_cell, input_size, hidden_size, **options)
        _check_split(cell, whole, hidden_size)
        # What is given unit by unit are biases, and those of all units are in `whole`.
        alike = {name: value for name, value in options.items() if not np.ndim(value)}
        drawn = [
            cell.init(key, input_size, units, **alike)
            for key in jax.random.split(key_heads, heads)
        ]
        return whole._replace(
            **{
                name: _joined([getattr(head, name) for head in drawn], units, value)
                for name, value in _recurrent(whole).items()
            }
        )

    def init_carry(params: Params, batch_shape: Shape = ()) -> Any:
        return cell.init_carry(whole_params(params, heads), batch_shape)

    def step(params: Params, carry: Any, x: Any) -> tuple[Any, Any]:
        return cell.step(whole_params(params, heads), carry, x)

    def edges(params: Params, copies: dict[str, Any], x: Any) -> tuple[Any, Any]:
        return cell.edges(whole_params(params, heads), copies, x)  # pyright: ignore

    functions = {"init": init, "init_carry": init_carry, "step": step}
    if cell.edges is not None:
        functions["edges"] = edges
    name = f"{cell.name}_{heads}_heads"
    return like(
        cell, lambda quiet: block_diagonal(quiet, heads), name=name, **functions
    )


def _units_of(hidden_size: int, heads: int) -> int:
    hidden_size = check_whole("hidden_size", hidden_size, 1)
    if hidden_size % heads:
        raise ValueError(
            f"hidden_size: got {hidden_size}; it must be a multiple of heads={heads}"
        )
    return hidden_size // heads


def _recurrent(params: Params) -> dict[str, Array]:
    """Returns the weights that are split; the fewest rows are those of the units."""
    names = OF_THE_LESSON if hasattr(params, "w_u") else ("w_hh",)
    return {name: getattr(params, name, jnp.zeros(())) for name in names}


def _check_split(cell: Cell, params: Params, hidden_size: int) -> None:
    """Refuses params without the fields, or in which they have another shape."""
    found = [*_recurrent(params).values()]
    of_gates = all(w.ndim == 2 and w.shape[1] % hidden_size == 0 for w in found)
    # Gates that cells share come in columns of another order, and have fewer biases.
    biases = getattr(params, "b", None)
    shared = biases is not None and biases.shape[-1] != found[0].shape[-1]
    if not of_gates or shared or min(map(len, found)) != hidden_size:
        raise ValueError(
            f"cell: got {cell.name!r}; it must have a w_hh (hidden, gates * hidden), "
            "as lj.LSTM, or be lj.FOUR_GATE"
        )


def _joined(
    of_heads: list[Array], units: int, whole: Float[Array, "all_rows gates"]
) -> Float[Array, "rows gates"]:
    """Returns what each unit reads of its head, and below the rows of anything else."""
    by_gate = [head[:units].reshape(units, -1, units) for head in of_heads]
    rows = jnp.stack(by_gate, axis=2).reshape(units, -1)
    return jnp.concatenate([rows, whole[len(of_heads) * units :]])


def whole_params(params: Params, heads: int) -> Params:
    """Returns the params of the cell itself, zeros between the heads.

    For what knows the plain cell alone, such as `lj.to_torch`.

    Example:
      >>> cell = lj.cells.block_diagonal(lj.RNN, heads=2)
      >>> params = cell.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> (lj.cells.whole_params(params, heads=2).w_hh != 0).astype(int)
      Array([[1, 1, 0, 0],
             [1, 1, 0, 0],
             [0, 0, 1, 1],
             [0, 0, 1, 1]], dtype=int32)
    """
    found = _recurrent(params)
    units = min(map(len, found.values()))
    own = np.eye(heads, dtype=bool)[:, None, None, :, None]

    def whole(weights: Float[Array, "rows gates"]) -> Float[Array, "all_rows gates"]:
        by_head = weights[:units].reshape(1, units, -1, heads, units)
        rows = jnp.where(own, by_head, 0).reshape(heads * units, -1)
        return jnp.concatenate([rows, weights[units:]])

    return params._replace(**{name: whole(value) for name, value in found.items()})
