"""DeltaProduct, its vector form: each event turns the memory by reflections."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.cells.gru import GRUCarry
from lstm_jax.cells.transitions import Reflections, advanced
from lstm_jax.checks import check_whole
from lstm_jax.factories import factory
from lstm_jax.initializers import Initializer
from lstm_jax.types import Hidden, Input, PRNGKey, Shape, any_rank

RANGES = ((0, 1), (0, 2))


class DeltaProductParams(NamedTuple):
    """Weights of a DeltaProduct: of what is written, of directions and strengths."""

    w_ih: Float[Array, "input hidden"]
    b: Float[Array, " hidden"]
    w_v: Float[Array, "input factors*hidden"]
    b_v: Float[Array, " factors*hidden"]
    w_beta: Float[Array, "input factors"]
    b_beta: Float[Array, " factors"]


def largest_of(beta_range: tuple[int, int]) -> int:
    """Returns the largest β of a range, and refuses one that is not allowed."""
    if beta_range not in RANGES:
        raise ValueError(f"beta_range: got {beta_range!r}; allowed: (0, 1), (0, 2)")
    return beta_range[1]


class _Wiring(NamedTuple):
    """How many factors, and the largest β."""

    num_factors: int
    largest: int


def init_carry(params: DeltaProductParams, batch_shape: Shape = ()) -> GRUCarry:
    """Returns the empty memory, h = 0."""
    return GRUCarry(h=jnp.zeros((*batch_shape, *params.b.shape), params.b.dtype))


@any_rank
def _transition(
    wiring: _Wiring, params: DeltaProductParams, x: Input
) -> tuple[Reflections, GRUCarry]:
    check_input(x, params.w_ih.shape[0])
    strengths = wiring.largest * jax.nn.sigmoid(x @ params.w_beta + params.b_beta)
    v = x @ params.w_v + params.b_v
    v = v.reshape(*x.shape[:-1], wiring.num_factors, params.b.shape[0])
    squares = jnp.sum(v * v, axis=-1, keepdims=True)
    v = v * jax.lax.rsqrt(jnp.where(squares > 0, squares, 1))  # of no direction, none
    return Reflections(strengths, v), GRUCarry(h=x @ params.w_ih + params.b)


@factory
def _delta_product(wiring: _Wiring) -> Cell:
    factors, largest = wiring

    def init(
        key: PRNGKey,
        input_size: int,
        hidden_size: int,
        *,
        input_init: Initializer = initializers.glorot,
        dtype: Any = jnp.float32,
    ) -> DeltaProductParams:
        """Returns initial weights; the directions begin as far apart as at random.

            b_v ~ N(0, 1 / hidden)        b = 0        b_β = 0, half the range

        Arguments and errors as for `lstm_jax.cells.lstm.init`.
        """
        check_init(key, input_size, hidden_size, dtype, input_init=input_init)
        key_ih, key_v, key_bias, key_beta = jax.random.split(key, 4)
        shape = (input_size, hidden_size)
        directions = jax.random.normal(key_bias, (factors * hidden_size,), dtype)
        return DeltaProductParams(
            w_ih=input_init(key_ih, shape, dtype),
            b=jnp.zeros((hidden_size,), dtype),
            w_v=initializers.per_gate(input_init, key_v, shape, factors, dtype),
            b_v=directions * jnp.asarray(hidden_size**-0.5, dtype),
            w_beta=input_init(key_beta, (input_size, factors), dtype),
            b_beta=jnp.zeros((factors,), dtype),
        )

    def transition(params: DeltaProductParams, x: Input) -> tuple[Any, GRUCarry]:
        return _transition(wiring, params, x)

    def step(
        params: DeltaProductParams, carry: GRUCarry, x: Input
    ) -> tuple[GRUCarry, Hidden]:
        carry = advanced(*_transition(wiring, params, x), carry)
        return carry, carry.h

    default = wiring == _Wiring(2, 2)
    return Cell(
        name="delta_product" + ("" if default else f"_{factors}_beta_{largest}"),
        init=init,
        init_carry=init_carry,
        step=step,
        family="linear",
        transition=transition,
    )


def delta_product(num_factors: int = 2, beta_range: tuple[int, int] = (0, 2)) -> Cell:
    """Returns the cell of so many Householder factors per step.

        v_j = (x W_vj + b_vj) / |x W_vj + b_vj|         β_j = max σ(x W_βj + b_βj)
        h_t = (I - β_k v_k v_kᵀ) ... (I - β_1 v_1 v_1ᵀ) h_{t-1} + x W_ih + b
        y_t = h_t

    Shapes: x (*batch, input), h and v_j (*batch, hidden), β (*batch, factors), W_ih
    (input, hidden), b (hidden,), W_v (input, factors*hidden), W_β (input, factors).

    β = 2 reflects the memory and keeps its length, β = 1 takes a direction out; the
    determinant of a step is Π (1 - β_j). One reflection can swap two things, two turn
    by any angle, so that k of them follow a permutation of k + 1 things. With β below 1
    no eigenvalue is negative, and nothing can be counted. The usual form keeps a
    matrix, each row of it moved like h here.

    It has none of the four gates.

    Args:
      num_factors: k, at least 1.
      beta_range: (0, 1) or (0, 2).

    Raises:
      TypeError: num_factors is not a whole number.
      ValueError: an argument is not allowed.

    Example:
      >>> lj.cells.delta_product(), lj.cells.delta_product(1)
      (<Cell 'delta_product'>, <Cell 'delta_product_1_beta_2'>)

    References:
      Siems et al. (2025), DeltaProduct, https://arxiv.org/abs/2502.10297
      Grazzi et al. (2024), https://arxiv.org/abs/2411.12537, for β up to 2
    """
    check_whole("num_factors", num_factors, 1)
    return _delta_product(_Wiring(num_factors, largest_of(beta_range)))


DELTA_PRODUCT = delta_product()
