"""The Jacobians of single steps, and their products over windows of time.

The state is the carry as one real vector (`lstm_jax.gradients.state`): for an LSTM h
then c, so the cell path is in it; a complex leaf counts as (re, im).
"""

from typing import Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_array, check_whole
from lstm_jax.engine.scanning import scan
from lstm_jax.gradients.exponents.slopes import with_exact_slopes
from lstm_jax.gradients.state import state_vector, with_state_vector
from lstm_jax.masking import Masks, StepInput, Steps, prepare, unless_idle
from lstm_jax.types import Carry, Params, Sequences


def step_jacobians(
    cell: Cell,
    params: Params,
    xs: Sequences,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Float[Array, "time *batch state state"]:
    """Returns the Jacobian of every step with respect to the state that enters it.

        J[t][i, j] = d state_{t+1, i} / d state_{t, j}

    state_t enters step t; in reverse state_{t+1} stands for the one that leaves it. A
    step that does not count has J = 1, a reset J = 0. Batch elements are independent:
    each basis vector is pushed through all of them at once. Products run at the highest
    matmul precision.

    The result holds time * batch * state² numbers in memory. Most questions about long
    or wide runs are answered without it: `product_singular_values`,
    `lyapunov_exponents`, `log_gradient_norms`.

    Args:
      cell: any `Cell`.
      params: what `cell.init` returned.
      xs: (time, *batch, input), floating.
      carry: what enters the first step; `cell.init_carry` by default.
      **masks: lengths, mask, resets, reverse, as for `unroll`.

    Raises:
      TypeError: an argument has a dtype that is not allowed.
      ValueError: an argument is not allowed.

    Example:
      >>> params = lj.RNN.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> jacobians = lj.step_jacobians(lj.RNN, params, jnp.zeros((5, 3)))
      >>> jacobians.shape
      (5, 4, 4)
      >>> bool(jnp.allclose(jacobians[0], params.w_hh.T, atol=1e-6))
      True
    """
    steps = with_exact_slopes(prepare(cell, params, xs, carry, **masks))
    with jax.default_matmul_precision("highest"):
        return _step_jacobians(steps)


@jax.jit
def _step_jacobians(steps: Steps) -> Float[Array, "time *batch state state"]:
    state = state_vector(steps.carry, len(steps.batch_shape))
    basis = jnp.eye(state.shape[-1], dtype=state.dtype)
    basis = jnp.broadcast_to(basis, (*steps.batch_shape, *basis.shape))

    def run(steps):
        def step(_, carry, inputs):
            after, pushed = push_forward(steps, carry, inputs, basis)
            return after, pushed.mT

        return scan(step, (), steps.carry, steps.inputs, reverse=steps.reverse)[1]

    return unless_idle(steps, run)


def jacobian_products(
    jacobians: Float[Array, "time *batch n n"], window: int
) -> Float[Array, "windows *batch n n"]:
    """Returns the product of the Jacobians over every window of time.

        P[t] = J[t + window - 1] ... J[t + 1] J[t],   t = 0 .. time - window

    so P[t][i, j] = d state_{t+window, i} / d state_{t, j}. For a run in reverse pass
    `jacobians[::-1]`. The products are plain floats: where they underflow, see
    `product_singular_values`.

    Args:
      jacobians: (time, *batch, n, n), as `step_jacobians` returns them.
      window: how many steps, in [1, time].

    Raises:
      ValueError: the window is not in [1, time].

    Example:
      >>> jacobians = jnp.broadcast_to(2 * jnp.eye(2), (5, 2, 2))
      >>> lj.gradients.jacobian_products(jacobians, window=3)[:, 0, 0]
      Array([8., 8., 8.], dtype=float32)
    """
    time = jacobians.shape[0]
    check_array("jacobians", jacobians, "an array (time, *batch, n, n)")
    if jacobians.ndim < 3 or jacobians.shape[-1] != jacobians.shape[-2]:
        raise ValueError(
            f"jacobians: shape is {jacobians.shape}; it must be (time, *batch, n, n)"
        )
    check_whole("window", window, 1, time, "the time axis of jacobians")
    windows = time - window + 1

    def one_longer(lag, products):
        following = jax.lax.dynamic_slice_in_dim(jacobians, lag, windows)
        return jnp.matmul(following, products, precision=jax.lax.Precision.HIGHEST)

    return jax.lax.fori_loop(1, window, one_longer, jacobians[:windows])


def push_forward(
    steps: Steps,
    carry: Carry,
    inputs: StepInput,
    tangents: Float[Array, "*batch k state"],
) -> tuple[Carry, Float[Array, "*batch k state"]]:
    """Returns the carry that leaves a step, and J v for each row v of the tangents."""
    step, state = _state_step(steps, carry, inputs)

    def push(tangent):
        _, moved, after = jax.jvp(step, (state,), (tangent,), has_aux=True)
        return after, moved

    # Rows, so that all tangents share one product with the weights.
    return jax.vmap(push, in_axes=-2, out_axes=(None, -2))(tangents)


def pull_back(
    steps: Steps,
    carry: Carry,
    inputs: StepInput,
    cotangents: Float[Array, "*batch k state"],
) -> Float[Array, "*batch k state"]:
    """Returns Jᵀ u for each row u of the cotangents, J at the carry that enters."""
    step, state = _state_step(steps, carry, inputs)
    _, pullback, _ = jax.vjp(step, state, has_aux=True)
    return jax.vmap(lambda u: pullback(u)[0], in_axes=-2, out_axes=-2)(cotangents)


def _state_step(steps: Steps, carry: Carry, inputs: StepInput):
    """Returns `state -> (state that leaves, carry that leaves)` and the state."""
    batch_axes = len(steps.batch_shape)

    def step(state):
        carry_here = with_state_vector(carry, state)
        after, _ = steps.step(steps.shared, carry_here, inputs)
        return state_vector(after, batch_axes), after

    return step, state_vector(carry, batch_axes)
