"""What each step contributes to the gradient of the weights.

Every step uses the same weights, so their gradient is a sum over the steps,

    dL/dW = Σ_t dL/dW_t,     dL/dW_t = (∂(carry, y)_t / ∂W)ᵀ (a_{t+1}, dL/dy_t)

W_t the weights as step t uses them and a_{t+1} the adjoint of the carry that leaves it.
The norms of the parts say which steps drive an update.
"""

from typing import Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_number
from lstm_jax.gradients.adjoint import (
    StepBack,
    observed_on_the_way_back,
    step_outputs,
    way_back,
)
from lstm_jax.gradients.alignment import before_beginning, check_curve
from lstm_jax.gradients.exponents import scaled
from lstm_jax.gradients.exponents.pullback import wide_vjp
from lstm_jax.gradients.exponents.scaled import Scaled
from lstm_jax.gradients.exponents.wide import per_element
from lstm_jax.gradients.loss import LossFn
from lstm_jax.masking import Masks, Steps, prepare
from lstm_jax.types import Carry, LogNorms, Params, Scalar, Sequences


def log_weight_contributions(
    cell: Cell,
    params: Params,
    xs: Sequences,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Params:
    """Returns ln ||dL/dW_t||_F for every step t and weight W, without underflow.

    The gradients are summed over the batch before the norm is taken, as in an update;
    each is formed, measured and dropped on the way back, so that no array of
    (time, *weight) exists. `vmap` over the batch gives the parts of single examples.
    The part of a learned initial carry belongs to no step. Products run at the highest
    matmul precision.

    Arguments and errors as for `carry_gradients`.

    Returns:
      The structure of params, leaves (time,); -inf where a step contributes nothing.
      `joint_log_norms` of it takes all weights together.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> last = lambda ys: ys[-1].sum()
      >>> parts = lj.gradients.log_weight_contributions(lj.LSTM, params, xs, last)
      >>> parts.w_hh.shape
      (5,)
    """
    way = way_back(prepare(cell, params, xs, carry, **masks), loss_fn)
    norms = observed_on_the_way_back(way, _log_norms)
    return jax.tree.unflatten(jax.tree.structure(params), norms)


def _log_norms(steps: Steps, at_t: StepBack) -> list[Array]:
    return [scaled.log_norm(part) for part in weight_gradients(steps, at_t)]


def weight_contributions(
    cell: Cell,
    params: Params,
    xs: Sequences,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Params:
    """Returns ||dL/dW_t||_F for every step t and weight W.

    Arguments, errors and result as for `log_weight_contributions`, whose exponential it
    is: 0 where the norm underflows.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> last = lambda ys: ys[-1].sum()
      >>> parts = lj.gradients.weight_contributions(lj.LSTM, params, xs, last)
      >>> jax.tree.map(jnp.shape, parts)
      LSTMParams(w_ih=(5,), w_hh=(5,), b=(5,))
    """
    log_norms = log_weight_contributions(cell, params, xs, loss_fn, carry, **masks)
    return jax.tree.map(jnp.exp, log_norms)


def effective_window(
    log_contributions: LogNorms, fraction: Scalar = 0.99
) -> Int[Array, "*batch"]:
    """Returns how many last steps contribute that fraction of an update.

    The smallest k with Σ_{t >= T-k} ||dL/dW_t|| >= fraction * Σ_t ||dL/dW_t||: dropping
    earlier steps changes the gradient by at most (1 - fraction) of the sum of the norms
    of its parts. Counted back from the last step that contributes anything, which skips
    padding, and no further than the beginning of a sequence (`by_lag`). 0 if
    nothing contributes, -1 if the curve holds NaN or inf. For a run in reverse pass
    `log_contributions[::-1]`.

    Args:
      log_contributions: (time, *batch) in time order, of one weight or of all
        (`joint_log_norms`).
      fraction: in (0, 1).

    Raises:
      ValueError: the fraction lies outside, if its value is known.

    Example:
      >>> log_contributions = jnp.log(jnp.array([0.001, 0.001, 0.5, 0.5]))
      >>> lj.gradients.effective_window(log_contributions)
      Array(2, dtype=int32)
    """
    check_curve("log_contributions", log_contributions)
    check_number("fraction", fraction, "(0, 1)")
    fraction = jnp.asarray(fraction, log_contributions.dtype)
    return _effective_window(log_contributions, fraction)


@jax.jit
def _effective_window(
    log_contributions: LogNorms, fraction: Array
) -> Int[Array, "*batch"]:
    begun = ~before_beginning(log_contributions)
    log_contributions = jnp.where(begun, log_contributions, -jnp.inf)
    largest = jnp.max(log_contributions, axis=0)
    silent = largest == -jnp.inf
    norms = jnp.exp(log_contributions - jnp.where(silent, 0, largest))
    summed = jnp.cumsum(norms[::-1], axis=0)
    wanted = fraction * summed[-1]
    after_last = jnp.argmax(log_contributions[::-1] != -jnp.inf, axis=0)
    count = jnp.where(silent, 0, 1 + jnp.sum(summed < wanted, axis=0) - after_last)
    unknown = jnp.isnan(largest) | (largest == jnp.inf)
    return jnp.where(unknown, -1, count)


def weight_gradients(steps: Steps, at_t: StepBack) -> list[Scaled]:
    """Returns dL/dW_t of one step, summed over the batch, for every leaf of params."""
    leaves, structure = jax.tree.flatten(steps.shared.params)

    def outputs(leaves):
        moved = steps.shared._replace(params=structure.unflatten(leaves))
        return step_outputs(steps, moved, at_t.entering, at_t.inputs)

    _, pullback = wide_vjp(outputs, leaves)
    parts = pullback([_for_all(leaving) for leaving in at_t.leaving])
    return [per_element(part, 0) for part in parts]


def _for_all(value: Scaled) -> Scaled:
    """Returns the value with one exponent for the whole batch, the largest."""
    exponent = jnp.max(value.exponent)
    return Scaled(scaled.over_power(value, exponent), exponent)
