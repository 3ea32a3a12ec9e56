"""A nonlinear cell over a whole sequence at once: Newton's method on all of its states.

A sequence is the root of T equations, s_t - f_t(s_{t-1}) = 0. Newton's step for all of
them is a recurrence that is linear in its state, which a tree computes as in
`associative`:

    δ_t = J_t δ_{t-1} + r_t,    r_t = f_t(s_{t-1}) - s_t,    J_t = ∂f_t / ∂s_{t-1}

After i steps the first i states are exact, so that T are enough for any cell. Few are
where small differences of the state die out, which the largest Lyapunov exponent says:
below 0 their number hardly grows with T, above it grows in proportion to T.

References:
  Lim et al. (2023), DEER, https://arxiv.org/abs/2309.12252
  Gonzalez et al. (2024), quasi-DEER, https://arxiv.org/abs/2407.19115
  Gonzalez et al. (2025), the exponent decides, https://arxiv.org/abs/2508.16817
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from lstm_jax.cells.cell import Cell
from lstm_jax.cells.transitions import Dense, Diagonal, Transition, advanced, composed
from lstm_jax.checks import check_choice, check_number, check_whole
from lstm_jax.engine.placing import cond
from lstm_jax.gradients.jacobians import push_forward
from lstm_jax.gradients.state import is_inexact, state_vector, with_state_vector
from lstm_jax.inputs import unbatched_leaves
from lstm_jax.masking import Steps, over_time, prepare, unless_idle
from lstm_jax.types import Carry, Params, Sequences

METHODS: dict[str, Callable[[Array], Transition]] = {
    "newton": Dense,
    "quasi_newton": lambda jacobians: Diagonal(
        jnp.diagonal(jacobians, axis1=-2, axis2=-1)
    ),
}
FORECAST_STEPS = 64  # of the run, whose second half tells the exponent
MAX_ITERATIONS = 50
ROUNDINGS = 100  # of the largest state: the default tolerance

States = Float[Array, "time *batch state"]


class ParallelReport(NamedTuple):
    """What Newton's method did.

    Attributes:
      iterations: how many steps it took; 0 where it was not begun.
      residual: the largest |s_t - f_t(s_{t-1})| it left, in units of the state.
      exponent: the forecast: the largest Lyapunov exponent over the first 64 steps, in
        nats per step, and the largest of the batch.
      fell_back: whether the states are those of the scan.
    """

    iterations: Int[Array, ""]
    residual: Float[Array, ""]
    exponent: Float[Array, ""]
    fell_back: Bool[Array, ""]


class How(NamedTuple):
    """What Newton's method is told."""

    method: str
    tolerance: float | None
    max_iterations: int


def parallel_unroll(
    cell: Cell,
    params: Params,
    xs: Sequences,
    carry: Carry | None = None,
    *,
    method: str = "newton",
    tolerance: float | None = None,
    max_iterations: int | None = None,
    lengths: ArrayLike | None = None,
) -> tuple[Carry, Any, ParallelReport]:
    """Runs a cell over a sequence as `unroll` does, all steps at once.

    Newton's method is begun where it will pay: if the exponent of the report is below
    0, or if `max_iterations` are as many as steps, which is always enough. Where it is
    not begun, or leaves more than the tolerance, the scan is run instead, and the
    report says so.

    The derivatives, of every order, are those of the scan, also with "quasi_newton": a
    tree of the step Jacobians where Newton's method ended.

    An iteration of "newton" is some 2 * steps * batch products of matrices of the size
    of the state, in 2 log2(steps) rounds, and keeps all of them. It does far more
    work than the scan: it is for processors with thousands of lanes, and to learn
    about cells.

    Args:
      cell: any `Cell` with a carry of floating leaves.
      params: what `cell.init` returned.
      xs: (time, *batch, input), floating.
      carry: what enters the first step; `cell.init_carry` by default.
      method: "newton", or "quasi_newton" with the diagonals of the Jacobians, whose
        iterations are cheaper and more.
      tolerance: of the residual, in units of the state; by default 100 roundings of the
        largest entry of the states, or of 1.
      max_iterations: at least 1; by default 50, or as many as steps if that is less.
      lengths: (*batch,) integers in [0, time]: steps at and beyond them do not count.

    Returns:
      The carry that leaves the last step, ys (time, *batch, output), and the report.

    Raises:
      TypeError: an argument has a dtype that is not allowed.
      ValueError: an argument is not allowed.

    Example:
      >>> params = lj.GRU.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jax.random.normal(jax.random.key(1), (200, 3))
      >>> carry, ys, report = lj.parallel_unroll(lj.GRU, params, xs)
      >>> bool(jnp.allclose(ys, lj.unroll(lj.GRU, params, xs)[1], atol=1e-5))
      True
      >>> int(report.iterations) < 20, bool(report.fell_back)
      (True, False)
    """
    check_choice("method", method, METHODS)
    if tolerance is not None:
        check_number("tolerance", tolerance, "[0, inf)")
    steps = prepare(cell, params, xs, carry, lengths=lengths)
    _check_carry(cell, params, steps)
    if max_iterations is None:
        max_iterations = min(MAX_ITERATIONS, steps.time)
    check_whole("max_iterations", max_iterations, 1)
    return _run(steps, How(method, tolerance, max_iterations))


def _check_carry(cell: Cell, params: Params, steps: Steps) -> None:
    of_batch = unbatched_leaves(cell, params, steps.batch_shape)
    if any(of_batch) or not all(map(is_inexact, jax.tree.leaves(steps.carry))):
        raise ValueError(
            f"cell: {cell.name!r} carries a counter, a key or a number of the whole "
            "batch; the carry must be floating numbers of each sequence"
        )


# Compiled once per cell and shapes, also without a `jit` around it.
@partial(jax.jit, static_argnums=1)
def _run(steps: Steps, how: How) -> tuple[Carry, Any, ParallelReport]:
    with jax.default_matmul_precision("highest"):
        held = jax.tree.map(jax.lax.stop_gradient, steps)
        states, report = unless_idle(held, lambda steps: _solved(steps, how))
        states = _on_path(steps, states)
    entering = _entering(steps, states)
    carries = jax.vmap(lambda state: with_state_vector(steps.carry, state))(entering)
    ys = jax.vmap(steps.step, (None, 0, 0))(steps.shared, carries, steps.inputs)[1]
    return with_state_vector(steps.carry, states[-1]), ys, report


# -- The states ----------------------------------------------------------------------


def _solved(steps: Steps, how: How) -> tuple[States, ParallelReport]:
    """Returns the states that leave every step, by Newton's method or by the scan."""
    exponent = _forecast(steps)
    begun = (exponent < 0) | (how.max_iterations >= steps.time)
    states, residual, iterations, allowed = _iterated(steps, how, begun)
    fell_back = ~(begun & (residual <= allowed))
    states = cond(fell_back, lambda: _by_scan(steps), lambda: states)
    return states, ParallelReport(iterations, residual, exponent, fell_back)


def _iterated(steps: Steps, how: How, begun: Array) -> tuple[States, Array, Any, Any]:
    """Returns the states, the largest residual, the iterations, and what is allowed."""
    dtype = _first_state(steps).dtype

    def allowed(states):
        if how.tolerance is not None:
            return jnp.asarray(how.tolerance, dtype)
        return ROUNDINGS * jnp.finfo(dtype).eps * jnp.maximum(1, _largest(states))

    def goes_on(found):
        states, residuals, iterations = found
        # NaN is not at its end.
        open_yet = ~(_largest(residuals) <= allowed(states))
        return begun & open_yet & (iterations < how.max_iterations)

    def iterate(found):
        states, residuals, iterations = found
        a = METHODS[how.method](_jacobians(steps, states))
        states = _finite(states + _recurrence(a, residuals), states + residuals)
        return states, _residuals(steps, states), iterations + 1

    states = jnp.broadcast_to(
        _first_state(steps), (steps.time, *_first_state(steps).shape)
    )
    start = (states, _residuals(steps, states), jnp.int32(0))
    states, residuals, iterations = jax.lax.while_loop(goes_on, iterate, start)
    return states, _largest(residuals), iterations, allowed(states)


def _finite(states: States, otherwise: States) -> States:
    """Returns the states; where products overflowed, the step without Jacobians."""
    otherwise = jnp.where(jnp.isfinite(otherwise), otherwise, 0)
    return jnp.where(jnp.isfinite(states), states, otherwise)


def _by_scan(steps: Steps) -> States:
    def showing_state(shared, carry, inputs):
        after, _ = steps.step(shared, carry, inputs)
        return after, state_vector(after, len(steps.batch_shape))

    return over_time(steps, showing_state, steps.inputs)[1]


def _forecast(steps: Steps) -> Float[Array, ""]:
    """Returns the largest exponent of the batch, over the first steps."""
    first = jax.tree.map(lambda leaf: leaf[:FORECAST_STEPS], steps.inputs)
    state = _first_state(steps)
    tangent = jnp.full_like(state, state.shape[-1] ** -0.5)[..., None, :]

    def follow(entering, inputs):
        carry, tangent = entering
        carry, pushed = push_forward(steps, carry, inputs, tangent)
        growth = jnp.linalg.norm(pushed, axis=-1, keepdims=True)
        pushed = jnp.where(growth > 0, pushed / growth, tangent)
        return (carry, pushed), jnp.log(growth)[..., 0, 0]

    rates = jax.lax.scan(follow, (steps.carry, tangent), first)[1]
    late = slice(len(rates) // 2, None)
    if first.counts is None:
        return jnp.max(jnp.mean(rates[late], axis=0))
    # A sequence that is over by then hides nothing, and is left out.
    rates = jnp.mean(rates[late], axis=0, where=first.counts[late])
    return jnp.max(rates, initial=-jnp.inf, where=~jnp.isnan(rates))


# -- One iteration, and its derivative -----------------------------------------------


def _first_state(steps: Steps) -> Float[Array, "*batch state"]:
    return state_vector(steps.carry, len(steps.batch_shape))


def _entering(steps: Steps, states: States) -> States:
    """Returns the states that enter each step, from those that leave it."""
    return jnp.concatenate([_first_state(steps)[None], states[:-1]])


def _moved(steps: Steps, entering: States) -> States:
    """Returns f_t(s_{t-1}) of all steps at once."""

    def move(state, inputs):
        carry = with_state_vector(steps.carry, state)
        after, _ = steps.step(steps.shared, carry, inputs)
        return state_vector(after, len(steps.batch_shape))

    return jax.vmap(move)(entering, steps.inputs)


def _residuals(steps: Steps, states: States) -> States:
    return _moved(steps, _entering(steps, states)) - states


def _jacobians(steps: Steps, states: States) -> Float[Array, "time *batch state state"]:
    """Returns J_t of all steps at once."""
    basis = jnp.eye(states.shape[-1], dtype=states.dtype)
    basis = jnp.broadcast_to(basis, (*steps.batch_shape, *basis.shape))

    def jacobian(state, inputs):
        carry = with_state_vector(steps.carry, state)
        return push_forward(steps, carry, inputs, basis)[1].mT

    return jax.vmap(jacobian)(_entering(steps, states), steps.inputs)


def _recurrence(a: Transition, u: States) -> States:
    """Returns δ_t = A_t δ_{t-1} + u_t from δ_0 = 0, by a tree."""
    return jax.lax.associative_scan(jax.vmap(composed), (a, u))[1]


def _largest(values: Array) -> Float[Array, ""]:
    return jnp.max(jnp.abs(values), initial=0)


@jax.custom_jvp
def _on_path(steps: Steps, states: States) -> States:
    """Returns the states as they are; their derivatives are those of the recurrence."""
    del steps
    return states


@_on_path.defjvp
def _on_path_jvp(primals: Any, tangents: Any) -> tuple[States, States]:
    (steps, states), (moved, _) = primals, tangents
    # What the equations hold true moves too, for derivatives of higher order.
    states = _on_path(steps, states)
    entering = _entering(steps, states)
    _, u = jax.jvp(lambda steps: _moved(steps, entering), (steps,), (moved,))
    a = Dense(_jacobians(steps, states))
    first = jax.jvp(_first_state, (steps,), (moved,))[1]
    first_a = jax.tree.map(lambda leaf: leaf[0], a)
    u = u.at[0].set(advanced(first_a, u[0], first))
    return states, _recurrence(a, u)
