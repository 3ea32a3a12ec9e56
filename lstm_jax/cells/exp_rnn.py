"""expRNN: its recurrent matrix is a rotation, and stays one in training.

Its `init` takes the options of the Elman RNN; `gain` is a factor on the angles of the
rotation, so that with gain=0 the memory stays as it is. The authors train W_hh at a
tenth of the other weights' rate, and draw W_ih from N(0, 2 / input),
`input_init=jax.nn.initializers.variance_scaling(2, "fan_in", "normal")`, and the biases
from U[-0.01, 0.01]; here they are zero, where the cell is linear.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import linalg
from lstm_jax.cells.cell import Cell, check_input
from lstm_jax.cells.rnn import RNNCarry, RNNParams, init_carry, init_with
from lstm_jax.types import Hidden, Input, PRNGKey, Shape, any_rank, at_least_float32


def henaff(key: PRNGKey, shape: tuple[int, ...], dtype: Any = float) -> Array:
    """Returns a W_hh that turns pairs of units by angles from U[-π, π].

    Example:
      >>> w_hh = lj.cells.henaff(jax.random.key(0), (4, 4))
      >>> (w_hh != 0).astype(int)
      Array([[0, 1, 0, 0],
             [0, 0, 0, 0],
             [0, 0, 0, 1],
             [0, 0, 0, 0]], dtype=int32)

    References:
      Henaff, Szlam & LeCun (2016), https://arxiv.org/abs/1602.06662
    """
    drawn_in = at_least_float32(dtype)
    angles = jax.random.uniform(key, (shape[0] // 2,), drawn_in, -jnp.pi, jnp.pi)
    return of_pairs(angles, shape).astype(dtype)


def of_pairs(numbers: Float[Array, " pairs"], shape: Shape) -> Float[Array, "h h"]:
    """Returns zeros but for number k, in row 2k and column 2k + 1."""
    first = 2 * jnp.arange(len(numbers))
    return jnp.zeros(shape, numbers.dtype).at[first, first + 1].set(numbers)


def skew(w_hh: Float[Array, "hidden hidden"]) -> Float[Array, "hidden hidden"]:
    """Returns U - Uᵀ, U the part of W_hh above its diagonal; at least in float32."""
    upper = jnp.triu(w_hh.astype(at_least_float32(w_hh.dtype)), 1)
    return upper - upper.T


def skew_exp(w_hh: Float[Array, "hidden hidden"]) -> Float[Array, "hidden hidden"]:
    """Returns e^A, A = U - Uᵀ with U the part of W_hh above its diagonal.

    Orthogonal, with determinant 1, whatever W_hh is; computed in float32 at least.

    Example:
      >>> turned = lj.cells.skew_exp(jax.random.normal(jax.random.key(0), (4, 4)))
      >>> bool(jnp.allclose(turned @ turned.T, jnp.eye(4), atol=1e-5))
      True
    """
    return linalg.expm(skew(w_hh)).astype(w_hh.dtype)


def modrelu(
    z: Float[Array, "*batch hidden"], b: Float[Array, " hidden"]
) -> Float[Array, "*batch hidden"]:
    """Returns sign(z) max(0, |z| + b): a negative bias silences small values.

    Example:
      >>> lj.cells.modrelu(jnp.array([-2.0, 0.5]), jnp.array([-1.0, -1.0]))
      Array([-1.,  0.], dtype=float32)

    References:
      Arjovsky, Shah & Bengio (2016), https://arxiv.org/abs/1511.06464, of complex z
    """
    return jnp.sign(z) * jax.nn.relu(jnp.abs(z) + b)


@any_rank
def step(params: RNNParams, carry: RNNCarry, x: Input) -> tuple[RNNCarry, Hidden]:
    """One step of the expRNN.

        A = U - Uᵀ,  U the part of W_hh above its diagonal
        h_t = modReLU_b(x_t W_ih + h_{t-1} e^A)         y_t = h_t
        modReLU_b(z) = sign(z) max(0, |z| + b)

    Shapes: x (*batch, input), h (*batch, hidden), W_ih (input, hidden),
    W_hh (hidden, hidden), b (hidden,).

    It has none of the four gates. e^A is orthogonal for every W_hh, so gradient descent
    needs no constraint, and the gradient that comes back over a step keeps its norm,
    but for the units whose modReLU is silent. The determinant of e^A is 1: it turns,
    and never reflects. `unroll` computes e^A once for the whole sequence.

    References:
      Lezcano-Casado & Martínez-Rubio (2019), https://arxiv.org/abs/1901.08428
      its code, https://github.com/Lezcano/expRNN
    """
    check_input(x, params.w_ih.shape[0])
    z = x @ params.w_ih + carry.h @ skew_exp(params.w_hh)
    h = modrelu(z, params.b)
    return RNNCarry(h=h), h


EXP_RNN = Cell(
    name="exp_rnn",
    init=init_with(henaff),
    init_carry=init_carry,
    step=step,
    gates=("h",),
    family="rnn",
)
