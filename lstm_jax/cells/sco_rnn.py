"""scoRNN: its recurrent matrix is orthogonal, reflects, and stays so in training.

Its `init` takes the options of the Elman RNN; `gain` is a factor on A, so that with
gain=0 W is D. The authors train A at a tenth of the other weights' rate, and draw W_ih
from U[-0.01, 0.01].
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax import linalg
from lstm_jax.cells.cell import Cell, check_input
from lstm_jax.cells.exp_rnn import modrelu, of_pairs, skew
from lstm_jax.cells.rnn import RNNCarry, RNNParams, init_carry, init_with
from lstm_jax.checks import check_number
from lstm_jax.factories import factory
from lstm_jax.types import Hidden, Input, PRNGKey, any_rank, at_least_float32


def quarter_turns(key: PRNGKey, shape: tuple[int, ...], dtype: Any = float) -> Array:
    """Returns a W_hh whose Cayley transform turns pairs by angles from U[0, π/2].

    Example:
      >>> w_hh = lj.cells.quarter_turns(jax.random.key(0), (4, 4))
      >>> bool((abs(w_hh) <= 1).all()), int((w_hh != 0).sum())
      (True, 2)
    """
    drawn_in = at_least_float32(dtype)
    angles = jax.random.uniform(key, (shape[0] // 2,), drawn_in, 0, jnp.pi / 2)
    return of_pairs(-jnp.tan(angles / 2), shape).astype(dtype)


def scaled_cayley(
    w_hh: Float[Array, "hidden hidden"], negative: int | float = 0.5
) -> Float[Array, "hidden hidden"]:
    """Returns W = (I + A)⁻¹ (I - A) D, A = U - Uᵀ with U above the diagonal of W_hh.

    D is diagonal: 1, and -1 for the share `negative` of the units, the last ones.
    Computed in float32 at least.

    Example:
      >>> w = lj.cells.scaled_cayley(jax.random.normal(jax.random.key(0), (4, 4)))
      >>> bool(jnp.allclose(w @ w.T, jnp.eye(4), atol=1e-5))
      True
    """
    a, units = skew(w_hh), len(w_hh)
    eye = jnp.eye(units, dtype=a.dtype)
    turned = 2 * linalg.inverse(eye + a) - eye  # it is (I + A)⁻¹ (I - A)
    reflected = jnp.arange(units) >= units - round(negative * units)
    return jnp.where(reflected, -turned, turned).astype(w_hh.dtype)


def sco_rnn(negative: int | float = 0.5) -> Cell:
    """Returns the scaled Cayley orthogonal RNN.

        A = U - Uᵀ,  U the part of W_hh above its diagonal
        W = (I + A)⁻¹ (I - A) D,  D diagonal: 1, and -1 for the last units
        h_t = modReLU_b(x_t W_ih + h_{t-1} W)               y_t = h_t
        modReLU_b(z) = sign(z) max(0, |z| + b)

    Shapes: x (*batch, input), h (*batch, hidden), W_ih (input, hidden),
    W_hh (hidden, hidden), b (hidden,).

    It has none of the four gates. W is orthogonal for every W_hh, so the gradient that
    comes back over a step keeps its norm, but for the units whose modReLU is silent. A
    Cayley transform, like the e^A of `lj.cells.EXP_RNN`, only turns, and has no
    eigenvalue -1; D reflects, so that every orthogonal matrix is W for some D, and an
    odd number of -1 gives det W = -1. `unroll` computes W once for the whole sequence.

    Args:
      negative: the share of units with -1 in D, in [0, 1]; a half, as in the authors'
        copy task.

    Raises:
      ValueError: the share is not allowed.

    Example:
      >>> lj.cells.sco_rnn() is lj.cells.SCO_RNN
      True
      >>> lj.cells.sco_rnn(negative=0)
      <Cell 'sco_rnn_negative_0'; gates h>

    References:
      Helfrich, Willmott & Ye (2018), https://arxiv.org/abs/1707.09520
      its code, https://github.com/SpartinStuff/scoRNN
    """
    check_number("negative", negative, "[0, 1]")
    return _sco_rnn(float(negative))


# Apart from `sco_rnn`, so that every way of calling it gives the same cell.
@factory
def _sco_rnn(negative: float) -> Cell:
    @any_rank
    def step(params: RNNParams, carry: RNNCarry, x: Input) -> tuple[RNNCarry, Hidden]:
        check_input(x, params.w_ih.shape[0])
        w = scaled_cayley(params.w_hh, negative)
        h = modrelu(x @ params.w_ih + carry.h @ w, params.b)
        return RNNCarry(h=h), h

    return Cell(
        name="sco_rnn" if negative == 0.5 else f"sco_rnn_negative_{negative:g}",
        init=init_with(quarter_turns),
        init_carry=init_carry,
        step=step,
        gates=("h",),
        family="rnn",
    )


SCO_RNN = sco_rnn()
