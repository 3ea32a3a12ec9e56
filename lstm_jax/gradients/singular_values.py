"""The singular values of a whole run's Jacobian, far beyond the range of a float."""

from functools import partial
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_array, check_number, check_whole
from lstm_jax.engine.scanning import scan
from lstm_jax.gradients.exponents import graded, scaled
from lstm_jax.gradients.exponents.slopes import with_exact_slopes
from lstm_jax.gradients.jacobians import pull_back, push_forward
from lstm_jax.gradients.lyapunov import starting_frame
from lstm_jax.gradients.state import entering_carries, state_vector
from lstm_jax.linalg import qr
from lstm_jax.masking import Masks, Steps, prepare
from lstm_jax.types import Carry, Params, Scalar, Sequences, at_least_float32

SPARE = 4  # directions beyond those asked for, which make these converge faster


class ProductSpectrum(NamedTuple):
    """The largest singular values of a product of Jacobians.

    Attributes:
      log_singular_values: natural logarithms, descending; -inf for zero.
      change: how far the last sweep moved each, in nats.
      bound: how far off each may be, in nats.
      reached: whether the bound is at most the tolerance.
    """

    log_singular_values: Float[Array, "*batch k"]
    change: Float[Array, "*batch k"]
    bound: Float[Array, "*batch k"]
    reached: Bool[Array, "*batch k"]


def product_singular_values(
    cell: Cell,
    params: Params,
    xs: Sequences,
    carry: Carry | None = None,
    *,
    num_values: int | None = None,
    tolerance: Scalar = 1e-3,
    num_sweeps: int = 50,
    **masks: Unpack[Masks],
) -> ProductSpectrum:
    """Returns ln of the singular values of J_{T-1} ... J_1 J_0, even at 1e-3000.

    An orthonormal frame is swept forward through the Jacobians and back through their
    transposes, made orthonormal by QR after every step:

        P V = U R,    Pᵀ U = V' R',    V <- V',    σ(P) = σ(R),   R = R_{T-1} ... R_0

    without P or any (time, state, state) array: only the states of the run are kept.
    The product R of the triangular factors has rows of very different size, and is
    multiplied and decomposed as such (`lstm_jax.gradients.exponents.graded`), so that
    values of any size and at any distance, even equal ones, come out of a single sweep.

    If all values are computed they are exact up to rounding, which more sweeps do not
    reduce: two are made, to estimate it. For the k largest a frame of k + 4 is carried;
    what it misses shrinks by (σ_{k+5} / σ_i)⁴ with every sweep, and sweeps go on until
    `bound` is at most the tolerance.

    `bound` is an estimated upper bound, not a proven one: twice the spread of the last
    three passes, whose rounding differs; plus the most a frame misses, if nothing
    outside it is larger than its own smallest value and the start was not among the
    worst hundredth of random ones. It can be far too large if values lie close together
    at the frame's end; `num_values=None` has no such end.

    `num_values` is k in [1, state]; None for all. `tolerance` is the error allowed, in
    nats, above 0; it may be traced. `num_sweeps` is the maximum number of sweeps, there
    and back, at least 2. Other arguments and errors as for `step_jacobians`.

    Example:
      >>> linear = lj.rnn("linear")
      >>> params = linear.init(jax.random.key(0), input_size=3, hidden_size=4, gain=0.5)
      >>> xs = jnp.zeros((10, 3))
      >>> found = lj.gradients.product_singular_values(linear, params, xs)
      >>> found.log_singular_values.round(2)
      Array([-6.93, -6.93, -6.93, -6.93], dtype=float32)

    References:
      Oliveira & Stewart (2000), Exponential splittings of products of matrices and
      accurately computing singular values of long products, Linear Algebra and its
      Applications 309
    """
    steps = with_exact_slopes(prepare(cell, params, xs, carry, **masks))
    state = state_vector(steps.carry, len(steps.batch_shape))
    size = state.shape[-1]
    count = _checked(size, num_values, tolerance, num_sweeps)
    width = min(count + SPARE, size)
    most_sweeps = 2 if width == size else num_sweeps
    start = starting_frame(
        steps.batch_shape, width, size, at_least_float32(state.dtype)
    )
    (_, there, back), bound = _swept(steps, start, tolerance, count, most_sweeps)
    return ProductSpectrum(
        log_singular_values=back,
        change=_spread(jnp.stack([there, back])),
        bound=bound,
        reached=bound <= tolerance,
    )


@partial(jax.jit, static_argnums=(3, 4))
def _swept(
    steps: Steps, start: Array, tolerance: Scalar, count: int, most_sweeps: int
) -> tuple[Array, Array]:
    """Returns the logarithms of the last three passes, and the bound."""
    size = state_vector(steps.carry, len(steps.batch_shape)).shape[-1]
    with jax.default_matmul_precision("highest"):
        entering, _ = entering_carries(steps)

        def sweep(state):
            frame, before, _, sweeps = state
            frame, there = _sweep(steps, entering, frame, push=True)
            frame, back = _sweep(steps, entering, frame, push=False)
            found = jnp.stack([before[-1], there, back])
            bound = _rounding(found, steps.time) + _missed(found, sweeps, size)
            return frame, found, bound, sweeps + 1

        def unfinished(state):
            _, _, bound, sweeps = state
            far = jnp.any(~(bound[..., :count] <= tolerance))
            return (sweeps < 2) | (far & (sweeps < most_sweeps))

        unknown = jnp.full((3, *start.shape[:-1]), jnp.inf, start.dtype)
        first = start, unknown, unknown[0], jnp.zeros((), jnp.int32)
        _, found, bound, _ = jax.lax.while_loop(unfinished, sweep, first)
    return found[..., :count], bound[..., :count]


def log_condition_number(
    log_singular_values: Float[Array, "*batch k"],
) -> Float[Array, "*batch"]:
    """Returns ln κ = ln σ_1 - ln σ_k of descending logarithms; inf where σ_k = 0.

    Example:
      >>> lj.gradients.log_condition_number(jnp.array([0.0, -1.0, -5.0]))
      Array(5., dtype=float32)
    """
    check_array("log_singular_values", log_singular_values, "an array (*batch, k)")
    return log_singular_values[..., 0] - log_singular_values[..., -1]


def _sweep(
    steps: Steps, entering: Carry, frame: Array, *, push: bool
) -> tuple[Array, Array]:
    """Returns the frame at the other end of the run, and ln σ of the product."""
    state_dtype = state_vector(steps.carry, len(steps.batch_shape)).dtype

    def step(_, at, at_t):
        (frame, product), (entering_t, inputs_t) = at, at_t
        rows = frame.astype(state_dtype)
        if push:
            _, rows = push_forward(steps, entering_t, inputs_t, rows)
        else:
            rows = pull_back(steps, entering_t, inputs_t, rows)
        q, r = qr(rows.astype(frame.dtype).mT)
        return (q.mT, graded.times(r, product)), ()

    width = frame.shape[-2]
    eye = jnp.eye(width, dtype=frame.dtype)
    exponents = jnp.zeros(frame.shape[:-1], jnp.int32)
    one = scaled.rescale(jnp.broadcast_to(eye, (*exponents.shape, width)), exponents)
    (frame, product), _ = scan(
        step,
        (),
        (frame, one),
        (entering, steps.inputs),
        reverse=steps.reverse == push,
    )
    return frame, graded.log_singular_values(product)


def _rounding(
    found: Float[Array, "three *batch k"], time: int
) -> Float[Array, "*batch k"]:
    """Returns how far off rounding may have put the values of the last pass."""
    size = jnp.abs(jnp.where(jnp.isfinite(found[-1]), found[-1], 0))
    steps = 8 * (time * found.shape[-1]) ** 0.5  # in case all agree by chance
    return 2 * _spread(found) + jnp.finfo(found.dtype).eps * (steps + size)


def _missed(
    found: Float[Array, "three *batch k"], sweeps: Int[Array, ""], size: int
) -> Float[Array, "*batch k"]:
    """Returns how far below the singular values those of a narrow frame may be.

    A frame grows by g towards a direction of ratio r = σ_outside / σ_i in a pass, then
    by r² g, r⁴ g, ..., in all by r² / (1 - r²) g; by less only if it contained hardly
    anything of the right direction yet.
    """
    values, spread = found[-1], _spread(found)
    width = values.shape[-1]
    if width == size:
        return jnp.zeros_like(spread)
    still = spread == 0
    distance = jnp.where(still, jnp.inf, values - values[..., -1:])
    right = 1 / (100 * size * width)  # share of the right direction, in the start
    hidden = 1 + jnp.exp(-4 * sweeps.astype(spread.dtype) * distance) * (1 / right - 1)
    return jnp.where(still, 0, spread * hidden / jnp.expm1(2 * distance))


def _spread(found: Float[Array, "many *batch k"]) -> Float[Array, "*batch k"]:
    """Returns largest minus smallest; 0 where all are equal, -inf too."""
    largest, smallest = jnp.max(found, axis=0), jnp.min(found, axis=0)
    same = largest == smallest
    return jnp.where(same, 0, largest - jnp.where(same, 0, smallest))


def _checked(size: int, num_values: Any, tolerance: Any, num_sweeps: Any) -> int:
    """Returns the number of singular values; refuses arguments that do not fit."""
    check_number("tolerance", tolerance, "(0, inf)")
    check_whole("num_sweeps", num_sweeps, 2)
    if num_values is None:
        return size
    return check_whole("num_values", num_values, 1, size, "the numbers in the state")
