"""LRU: complex numbers that decay and turn, each at its own rate, and a mixing read."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell, check_init, check_input
from lstm_jax.cells.transitions import Rotation, advanced
from lstm_jax.checks import check_number
from lstm_jax.types import Hidden, Input, PRNGKey, Scalar, Shape, any_rank


class LRUParams(NamedTuple):
    """Weights of an LRU; complex matrices as their real and imaginary parts."""

    nu_log: Float[Array, " hidden"]
    theta_log: Float[Array, " hidden"]
    gamma_log: Float[Array, " hidden"]
    b_re: Float[Array, "input hidden"]
    b_im: Float[Array, "input hidden"]
    c_re: Float[Array, "hidden hidden"]
    c_im: Float[Array, "hidden hidden"]
    d: Float[Array, "input hidden"]


class LRUCarry(NamedTuple):
    """The memory of an LRU, real and imaginary part."""

    re: Float[Array, "*batch hidden"]
    im: Float[Array, "*batch hidden"]


def init(
    key: PRNGKey,
    input_size: int,
    hidden_size: int,
    *,
    r_min: Scalar = 0.0,
    r_max: Scalar = 1.0,
    max_phase: Scalar = 2 * jnp.pi,
    dtype: Any = jnp.float32,
) -> LRUParams:
    """Returns initial weights; λ is uniform on a ring of the complex plane.

        |λ|² ~ U[r_min², r_max²]        arg λ ~ U[0, max_phase]
        γ = sqrt(1 - |λ|²)

    and, in variances, B_re, B_im ~ N(0, 1 / (2 input)), C_re, C_im ~ N(0, 1 / hidden),
    D ~ N(0, 1 / input).

    Args:
      key: a typed key.
      input_size: width of x.
      hidden_size: complex numbers of the memory, and width of y.
      r_min: the inner radius, at least 0.
      r_max: the outer radius, at most 1; it may be traced, like the others.
      max_phase: the largest angle, in radians.
      dtype: of the weights.

    Raises:
      TypeError: an argument has a type that is not allowed.
      ValueError: an argument has a value that is not allowed.
    """
    check_init(key, input_size, hidden_size, dtype)
    check_number("max_phase", max_phase, "(0, inf)")
    keys = jax.random.split(key, 7)
    nu = ring_rates(keys[0], hidden_size, r_min, r_max, dtype)
    turns = jax.random.uniform(keys[1], (hidden_size,), dtype, 1e-6, 1)

    def normal(key, shape, variance):
        return jax.random.normal(key, shape, dtype) * jnp.asarray(variance**0.5, dtype)

    inwards, across = (input_size, hidden_size), (hidden_size, hidden_size)
    return LRUParams(
        nu_log=jnp.log(nu),
        theta_log=jnp.log(jnp.asarray(max_phase, dtype) * turns),
        gamma_log=0.5 * jnp.log(-jnp.expm1(-2 * nu)),
        b_re=normal(keys[2], inwards, 0.5 / input_size),
        b_im=normal(keys[3], inwards, 0.5 / input_size),
        c_re=normal(keys[4], across, 1 / hidden_size),
        c_im=normal(keys[5], across, 1 / hidden_size),
        d=normal(keys[6], inwards, 1 / input_size),
    )


def ring_rates(
    key: PRNGKey, hidden_size: int, r_min: Scalar, r_max: Scalar, dtype: Any
) -> Float[Array, " hidden"]:
    """Returns -ln r > 0 of radii uniform on a ring, r² ~ U[r_min², r_max²].

    Raises:
      ValueError: r_min is not in [0, 1), or r_max not in (0, 1].
    """
    check_number("r_min", r_min, "[0, 1)")
    check_number("r_max", r_max, "(0, 1]")
    # Neither 0, whose logarithm is not finite, nor the ring's edge at r = 1.
    shares = jax.random.uniform(key, (hidden_size,), dtype, 1e-6, 1)
    low, high = jnp.asarray(r_min, dtype) ** 2, jnp.asarray(r_max, dtype) ** 2
    return -0.5 * jnp.log(high - shares * (high - low))


def init_carry(params: LRUParams, batch_shape: Shape = ()) -> LRUCarry:
    """Returns the empty memory, zeros."""
    nothing = jnp.zeros((*batch_shape, *params.nu_log.shape), params.nu_log.dtype)
    return LRUCarry(re=nothing, im=nothing)


@any_rank
def transition(params: LRUParams, x: Input) -> tuple[Rotation, LRUCarry]:
    """Returns A = diag(λ), the same for every event, and u = γ * x B."""
    check_input(x, params.b_re.shape[0])
    radius, angle = jnp.exp(-jnp.exp(params.nu_log)), jnp.exp(params.theta_log)
    gamma = jnp.exp(params.gamma_log)
    u = LRUCarry(re=gamma * (x @ params.b_re), im=gamma * (x @ params.b_im))
    re, im = radius * jnp.cos(angle), radius * jnp.sin(angle)
    return Rotation(
        jnp.broadcast_to(re, u.re.shape), jnp.broadcast_to(im, u.im.shape)
    ), u


@any_rank
def step(params: LRUParams, carry: LRUCarry, x: Input) -> tuple[LRUCarry, Hidden]:
    """One step of the linear recurrent unit.

        λ = exp(-exp(ν) + i exp(θ))
        h_t = λ * h_{t-1} + exp(γ) * x_t B              complex
        y_t = Re(h_t C) + x_t D

    Shapes: x (*batch, input), h (*batch, hidden) complex, carried as two real leaves,
    B and D (input, hidden), C (hidden, hidden), ν, θ and γ (hidden,).

    |λ| = exp(-exp(ν)) < 1 for every ν, so the memory cannot explode; a number of the
    memory fades by |λ| a step, whatever the event. With γ = sqrt(1 - |λ|²) white noise
    leaves as strong as it enters, also where |λ| is near 1. In the paper x is as wide
    as y, and D diagonal.

    It has none of the four gates.

    References:
      Orvieto et al. (2023), https://arxiv.org/abs/2303.06349
    """
    carry = advanced(*transition(params, x), carry)
    y = carry.re @ params.c_re - carry.im @ params.c_im
    return carry, y + x @ params.d


LRU = Cell(
    name="lru",
    init=init,
    init_carry=init_carry,
    step=step,
    family="linear",
    transition=transition,
)
