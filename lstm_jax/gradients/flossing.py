"""Gradient flossing: a penalty on Lyapunov exponents away from zero."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell
from lstm_jax.gradients.lyapunov import lyapunov_exponents
from lstm_jax.types import Carry, Params, Sequences


def flossing(
    cell: Cell,
    params: Params,
    xs: Sequences,
    num_exponents: int | None = None,
    *,
    burn_in: int = 0,
    qr_every: int = 1,
    carry: Carry | None = None,
) -> Float[Array, ""]:
    """Returns how far the largest exponents of a run are from zero.

        mean of λ_1², ..., λ_k²,       over the batch too

    with the λ_i of `lj.lyapunov_exponents`, in nats per step. Descend it, before or
    during training: directions with an exponent near 0 carry the gradient over any lag.
    Its gradient comes back through every QR factorisation of the run. Of many exponents
    the last, furthest from zero, make most of the sum; with one of -inf it is inf.

    Arguments and errors as for `lyapunov_exponents`. The author throws away about the
    first third of a run of 55 steps, `burn_in`, and takes k = 75 of 80 exponents.

    Example:
      >>> linear = lj.rnn("linear")
      >>> params = linear.init(jax.random.key(0), input_size=3, hidden_size=4, gain=0.5)
      >>> penalty = lj.gradients.flossing(linear, params, jnp.zeros((10, 3)))
      >>> round(float(penalty), 3)  # (ln 2)²
      0.48

    References:
      Engelken (2023), https://arxiv.org/abs/2312.17306
    """
    exponents = lyapunov_exponents(
        cell, params, xs, num_exponents, burn_in=burn_in, qr_every=qr_every, carry=carry
    )
    return jnp.mean(exponents**2)
