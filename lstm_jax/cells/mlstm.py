"""mLSTM: the matrix memory of xLSTM, with exponential gates and a normaliser."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell, check_init
from lstm_jax.cells.matrix_memory import parts_of, projections
from lstm_jax.initializers import Initializer
from lstm_jax.types import Hidden, Input, PRNGKey, Shape, any_rank


class MLSTMParams(NamedTuple):
    """Weights of an mLSTM: of queries, keys, values, and of its gates i, f and o."""

    w_q: Float[Array, "input keys"]
    w_k: Float[Array, "input keys"]
    w_v: Float[Array, "input hidden"]
    w_if: Float[Array, "input 2"]
    b_if: Float[Array, " 2"]
    w_o: Float[Array, "input hidden"]
    b_o: Float[Array, " hidden"]


class MLSTMCarry(NamedTuple):
    """What an mLSTM passes on.

    Attributes:
      c: the memory, which maps keys to values, over e^m.
      n: the sum of the keys in it, each times its weight, over e^m.
      m: the stabiliser, the largest logarithm of a weight.
    """

    c: Float[Array, "*batch hidden keys"]
    n: Float[Array, "*batch keys"]
    m: Float[Array, "*batch 1"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    key_size: int | None = None,
    input_init: Initializer = initializers.glorot,
    dtype: Any = jnp.float32,
) -> MLSTMParams:
    """Returns initial weights, with the biases of the authors' first head.

        b_i ~ N(0, 0.01)        b_f = 3

    They start W_if at 0; here each gate is drawn like other weights of the input.
    `key_size` is the length of a key, at least 1; by default hidden_size, which is that
    of a value and of y. Other arguments and errors as for `lstm_jax.cells.lstm.init`.
    """
    check_init(key, input_size, hidden_size, dtype, input_init=input_init)
    key, key_if, key_i, key_o = jax.random.split(key, 4)
    widths = (input_size, hidden_size, key_size)
    weights = projections(key, *widths, input_init, dtype)
    b_i = jnp.asarray(0.1, dtype) * jax.random.normal(key_i, (1,), dtype)
    return MLSTMParams(
        *weights,
        w_if=initializers.per_gate(input_init, key_if, (input_size, 1), 2, dtype),
        b_if=jnp.concatenate([b_i, jnp.full((1,), 3, dtype)]),
        w_o=input_init(key_o, (input_size, hidden_size), dtype),
        b_o=jnp.zeros((hidden_size,), dtype),
    )


def init_carry(params: MLSTMParams, batch_shape: Shape = ()) -> MLSTMCarry:
    """Returns the empty memory, zeros."""
    values, keys = params.w_v.shape[-1], params.w_k.shape[-1]
    shapes = ((values, keys), (keys,), (1,))
    dtype = params.w_v.dtype
    return MLSTMCarry(*(jnp.zeros((*batch_shape, *shape), dtype) for shape in shapes))


@any_rank
def step(params: MLSTMParams, carry: MLSTMCarry, x: Input) -> tuple[MLSTMCarry, Hidden]:
    """One step of the mLSTM.

        q = x W_q        k = x W_k / sqrt(keys)        v = x W_v
        ĩ, f̃ = x W_if + b_if        i = exp(ĩ)        f = σ(f̃)        o = σ(x W_o + b_o)
        C_t = f C_{t-1} + i v kᵀ
        n_t = f n_{t-1} + i k
        y_t = o * C_t q / max(|n_tᵀ q|, 1)

    So that no exponential overflows, C and n are carried over e^m, as in the sLSTM,

        m_t = max(ln f + m_{t-1}, ĩ)
        i' = exp(ĩ - m_t)        f' = exp(ln f + m_{t-1} - m_t)

    take the place of i and f, and e^-m_t that of 1. y does not depend on m, and no
    gradient flows through it.

    Shapes: x (*batch, input), C (*batch, hidden, keys), n, q and k (*batch, keys), v, o
    and y (*batch, hidden), i, f and m (*batch, 1), W_q and W_k (input, keys), W_v and
    W_o (input, hidden), W_if (input, 2).

    The gates i and f are one number for the whole memory, and none reads the memory.
    The authors' layer has several heads, convolutions and a norm of y; here these are
    left out. Nor has it a transition: m_t is a maximum, and not linear in m_{t-1}.

    In the words of the four gates, with a memory C and its weight n:

        learn     i v kᵀ
        forget    f C_{t-1}
        remember  C_t, the sum of the two
        use       o * C_t q / max(|n_tᵀ q|, 1)

    References:
      Beck et al. (2024), xLSTM, https://arxiv.org/abs/2405.04517, equations 19 to 27
    """
    q, k, v = parts_of(params, x)
    k = k * jnp.asarray(k.shape[-1] ** -0.5, k.dtype)
    i, f = jnp.split(x @ params.w_if + params.b_if, 2, axis=-1)
    log_f = jax.nn.log_sigmoid(f)
    m_before = jax.lax.stop_gradient(carry.m)
    m = jax.lax.stop_gradient(jnp.maximum(log_f + m_before, i))
    learn, keep = jnp.exp(i - m), jnp.exp(log_f + m_before - m)
    c = keep[..., None] * carry.c + (learn * v)[..., :, None] * k[..., None, :]
    n = keep * carry.n + learn * k
    weight = jnp.abs(jnp.sum(n * q, axis=-1, keepdims=True))
    read = jnp.sum(c * q[..., None, :], axis=-1) / jnp.maximum(weight, jnp.exp(-m))
    y = jax.nn.sigmoid(x @ params.w_o + params.b_o) * read
    return MLSTMCarry(c=c, n=n, m=m), y


def _edges(params: MLSTMParams, copies: dict[str, MLSTMCarry], x: Input) -> Any:
    """The step: no gate reads the memory, and m, a constant, would count as one."""
    return step(params, copies["cell"], x)


MLSTM = Cell(
    name="mlstm",
    init=init,
    init_carry=init_carry,
    step=step,
    edges=_edges,
    memory="c",
    family="lstm",
)
