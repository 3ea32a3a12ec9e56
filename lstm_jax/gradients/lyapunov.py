"""Lyapunov exponents: how fast small differences of the state grow along a run.

The largest exponent is the slope of the last step's log-gradient against the lag; the
whole spectrum says how many directions keep, lose or create information.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_array, check_whole
from lstm_jax.engine.scanning import scan
from lstm_jax.gradients.exponents.slopes import with_exact_slopes
from lstm_jax.gradients.jacobians import push_forward
from lstm_jax.gradients.state import state_vector
from lstm_jax.linalg import qr
from lstm_jax.masking import Steps, prepare
from lstm_jax.types import Carry, Params, Sequences, Shape, at_least_float32

NUM_BLOCKS = 20  # of the standard errors


class LyapunovSpectrum(NamedTuple):
    """Exponents, with what is needed to trust them; all in nats per step.

    Attributes:
      exponents: descending.
      stderr: standard error of each, from the scatter of averages over blocks of time;
        NaN if there are fewer than two blocks.
      mean_log_det: the mean of ln|det J_t|, which equals the sum of all exponents on
        any run; from LU, not QR, factors. None unless all exponents were asked for.
    """

    exponents: Float[Array, "*batch k"]
    stderr: Float[Array, "*batch k"]
    mean_log_det: Float[Array, "*batch"] | None


def lyapunov_exponents(
    cell: Cell,
    params: Params,
    xs: Sequences,
    num_exponents: int | None = None,
    *,
    burn_in: int = 0,
    qr_every: int = 1,
    carry: Carry | None = None,
) -> Float[Array, "*batch k"]:
    """Returns the largest Lyapunov exponents of a run, descending, in nats per step.

    k orthonormal tangent vectors Q follow the state and are made orthonormal again
    every `qr_every` = m steps:

        J_{t+m-1} ... J_t Q = Q' R        λ_i = mean over the run of ln|R_ii| / m

    (Benettin et al. 1980). λ_1 > 0 is chaos; without input a stable linear net has
    λ_i = ln|eig_i(W)|. Only state * k numbers are carried, and time * k / m logarithms
    are kept; no Jacobian is formed. It runs under `jit`, under `vmap` over params,
    carries and inputs, and backwards (Engelken 2023 trains on it) if the exponents are
    finite. Products run at the highest matmul precision.

    The tangents start in random directions, always the same; the effect of the start is
    O(1 / time), and gone after a `burn_in`. A singular Jacobian has exponents of -inf.
    Units that are saturated, whose slopes are tens of nats smaller than others, keep
    their exponents if m = 1. Other directions that shrink, relative to the first, by
    more than the precision within m steps are hidden by rounding: λ_1 - λ_i > 16 / m
    nats in float32 (36 / m in float64) then means "at least that", and a -inf may
    appear as such a number.

    Args:
      cell: any `Cell`.
      params: what `cell.init` returned.
      xs: (time, *batch, input), floating; zeros for an autonomous net, which then needs
        a `carry` away from a fixed point at zero.
      num_exponents: k, in [1, state]; None for all.
      burn_in: steps before the average begins; in [0, time).
      qr_every: steps between two QR factorisations, m; divides burn_in and time.
        Larger is faster; if too large, the tangents align or overflow.
      carry: what enters the first step; `cell.init_carry` by default.

    Raises:
      TypeError: an argument has a dtype that is not allowed.
      ValueError: an argument is not allowed.

    Example:
      >>> linear = lj.rnn("linear")
      >>> params = linear.init(jax.random.key(0), input_size=3, hidden_size=4, gain=0.5)
      >>> lj.lyapunov_exponents(linear, params, jnp.zeros((50, 3)))[:2].round(3)
      Array([-0.693, -0.693], dtype=float32)

    References:
      Benettin, Galgani, Giorgilli & Strelcyn (1980), part 2,
      https://doi.org/10.1007/BF02128237
      Engelken, Wolf & Abbott (2023), https://doi.org/10.1103/PhysRevResearch.5.043044
      Engelken (2023), https://arxiv.org/abs/2312.17306
    """
    steps = with_exact_slopes(prepare(cell, params, xs, carry))
    count = _checked(steps, num_exponents, burn_in, qr_every)
    stretches = _along_the_run(steps, count, qr_every, _log_stretch)
    exponents = mean_over_time(stretches[burn_in // qr_every :]) / qr_every
    return -jnp.sort(-exponents, axis=-1)


def lyapunov_spectrum(
    cell: Cell,
    params: Params,
    xs: Sequences,
    num_exponents: int | None = None,
    *,
    burn_in: int = 0,
    qr_every: int = 1,
    carry: Carry | None = None,
) -> LyapunovSpectrum:
    """Returns the exponents with their standard errors and the sum rule.

    Arguments, errors and sources as for `lyapunov_exponents`. The run after the burn-in
    is cut into 20 blocks of time (fewer where it is short), and the scatter of their
    averages gives the standard errors: right where a block is much longer than the
    memory of the run.

        Σ_i λ_i = mean of ln|det J_t|         exact on any run, all i

    Example:
      >>> linear = lj.rnn("linear")
      >>> params = linear.init(jax.random.key(0), input_size=3, hidden_size=4, gain=0.5)
      >>> spectrum = lj.gradients.lyapunov_spectrum(linear, params, jnp.zeros((50, 3)))
      >>> spectrum.exponents[:2].round(3)
      Array([-0.693, -0.693], dtype=float32)
    """
    steps = with_exact_slopes(prepare(cell, params, xs, carry))
    count = _checked(steps, num_exponents, burn_in, qr_every)
    whole = count == _state_size(steps)
    observe = _stretch_and_det if whole else _stretch_alone
    found = _along_the_run(steps, count, qr_every, observe)
    stretches, log_dets = jax.tree.map(
        lambda kept: kept[burn_in // qr_every :] / qr_every, found
    )
    exponents = mean_over_time(stretches)
    order = jnp.argsort(-exponents, axis=-1)
    return LyapunovSpectrum(
        exponents=jnp.take_along_axis(exponents, order, axis=-1),
        stderr=jnp.take_along_axis(_block_errors(stretches), order, axis=-1),
        mean_log_det=mean_over_time(log_dets) if whole else None,
    )


def kaplan_yorke_dimension(
    exponents: Float[Array, "*batch n"],
) -> Float[Array, "*batch"]:
    """Returns the Kaplan-Yorke dimension of the attractor.

        D = k + (λ_1 + ... + λ_k) / |λ_{k+1}|

    with the largest k at which the sum is not negative: 0 for a stable fixed point, n
    if even the sum of all is not negative. If only some of the exponents were measured,
    D is then at least that.

    Args:
      exponents: (*batch, n), descending.

    Example:
      >>> lj.gradients.kaplan_yorke_dimension(jnp.array([0.5, -0.1, -0.8])).round(3)
      Array(2.5, dtype=float32)

    References:
      Kaplan & Yorke (1979), https://doi.org/10.1007/BFb0064319
    """
    check_array("exponents", exponents, "an array (*batch, n)")
    return _dimension(exponents)


@jax.jit
def _dimension(exponents: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
    sums = jnp.cumsum(exponents, axis=-1)
    sums = jnp.concatenate([jnp.zeros_like(sums[..., :1]), sums], axis=-1)
    # A sum that has turned negative stays so, because the exponents descend.
    held = jnp.sum(sums[..., 1:] >= 0, axis=-1, keepdims=True)
    left = jnp.take_along_axis(sums, held, axis=-1)
    size = exponents.shape[-1]
    following = jnp.take_along_axis(exponents, jnp.minimum(held, size - 1), axis=-1)
    part = jnp.where(held < size, left / jnp.where(held < size, -following, 1), 0)
    return (held.astype(part.dtype) + part)[..., 0]


def entropy_rate(exponents: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
    """Returns the sum of the positive exponents, in nats per step.

    By Pesin's formula the rate at which the run creates information (in general, an
    upper bound on it).

    Example:
      >>> lj.gradients.entropy_rate(jnp.array([0.5, 0.25, -0.8]))
      Array(0.75, dtype=float32)

    References:
      Pesin (1977), https://doi.org/10.1070/RM1977v032n04ABEH001639
    """
    check_array("exponents", exponents, "an array (*batch, n)")
    return jnp.sum(jnp.maximum(exponents, 0), axis=-1)


def mean_over_time(values: Float[Array, " time *batch"]) -> Float[Array, "*batch"]:
    """Returns the mean along the first axis, exact to rounding even if it is long.

    The mean of the residuals of a first pass is added: a float32 sum over 10 000 steps
    is off in its sixth digit.
    """
    first = jnp.mean(values, axis=0)
    usable = jnp.isfinite(first)
    rest = jnp.mean(values - jnp.where(usable, first, 0)[None], axis=0)
    return jnp.where(usable, first + rest, first)


def starting_frame(
    batch_shape: Shape, count: int, size: int, dtype: Any
) -> Float[Array, "*batch k state"]:
    """Returns `count` orthonormal rows in random directions, always the same.

    The first axes would not do: they may span an invariant subspace and never leave it.
    """
    drawn = jax.random.normal(jax.random.key(0), (size, count), dtype)
    return jnp.broadcast_to(qr(drawn)[0].mT, (*batch_shape, count, size))


@partial(jax.jit, static_argnums=(1, 2, 3))
def _along_the_run(steps: Steps, count: int, qr_every: int, observe: Callable) -> Any:
    """Returns observe(tangents, R), leaves (intervals, *batch, ...)."""
    state = state_vector(steps.carry, len(steps.batch_shape))
    wide = at_least_float32(state.dtype)
    frame = starting_frame(steps.batch_shape, count, state.shape[-1], wide)

    def push(_, at, inputs):
        carry, tangents = at
        carry, pushed = push_forward(steps, carry, inputs, tangents.astype(state.dtype))
        return (carry, pushed.astype(wide)), ()

    def interval(_, at, inputs):
        (carry, tangents), _ = scan(push, (), at, inputs)
        q, r = qr(tangents.mT)
        return (carry, q.mT), observe(tangents, r)

    inputs = jax.tree.map(
        lambda leaf: leaf.reshape(-1, qr_every, *leaf.shape[1:]), steps.inputs
    )
    with jax.default_matmul_precision("highest"):
        _, observed = scan(interval, (), (steps.carry, frame), inputs)
    return observed


def _log_stretch(tangents: Array, r: Array) -> Float[Array, "*batch k"]:
    del tangents  # what they were stretched by is in R
    return jnp.log(jnp.abs(jnp.diagonal(r, axis1=-2, axis2=-1)))


def _stretch_alone(tangents: Array, r: Array) -> tuple[Array, None]:
    return _log_stretch(tangents, r), None


def _stretch_and_det(tangents: Array, r: Array) -> tuple[Array, Array]:
    return _log_stretch(tangents, r), _log_abs_det(tangents)


def _log_abs_det(matrix: Array) -> Array:
    log_det = _one_log_abs_det
    for _ in matrix.shape[:-2]:
        log_det = jax.vmap(log_det)
    return log_det(matrix)


# Not one batched LAPACK call: see `_qr` in `lstm_jax.initializers`.
@jax.custom_batching.sequential_vmap
def _one_log_abs_det(matrix: Array) -> Array:
    return jnp.linalg.slogdet(matrix)[1]


def _block_errors(values: Float[Array, "time *batch k"]) -> Float[Array, "*batch k"]:
    blocks = min(NUM_BLOCKS, values.shape[0])
    if blocks < 2:
        return jnp.full(values.shape[1:], jnp.nan, values.dtype)
    kept = values[: values.shape[0] // blocks * blocks]
    means = jnp.mean(kept.reshape(blocks, -1, *values.shape[1:]), axis=1)
    return jnp.std(means, axis=0, ddof=1) / blocks**0.5


def _state_size(steps: Steps) -> int:
    return state_vector(steps.carry, len(steps.batch_shape)).shape[-1]


def _checked(steps: Steps, num_exponents: Any, burn_in: Any, qr_every: Any) -> int:
    """Returns the number of exponents; refuses arguments that do not fit."""
    time, size = steps.time, _state_size(steps)
    check_whole("burn_in", burn_in, 0, time - 1, "below the time axis of xs")
    check_whole("qr_every", qr_every, 1, time, "the time axis of xs")
    if time % qr_every or burn_in % qr_every:
        raise ValueError(
            f"qr_every: got {qr_every}; it must divide burn_in = {burn_in} and "
            f"time = {time}"
        )
    if num_exponents is None:
        return size
    return check_whole("num_exponents", num_exponents, 1, size, "the state's numbers")
