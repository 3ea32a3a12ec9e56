"""Gradients with respect to the input of each step: the bear itself."""

from collections.abc import Callable
from typing import Any, Unpack

import jax
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell
from lstm_jax.gradients.adjoint import (
    StepBack,
    observed_on_the_way_back,
    step_outputs,
    way_back,
)
from lstm_jax.gradients.exponents import scaled
from lstm_jax.gradients.exponents.pullback import wide_vjp
from lstm_jax.gradients.exponents.slopes import with_exact_slopes
from lstm_jax.gradients.exponents.wide import per_element
from lstm_jax.gradients.loss import LossFn, output_gradients
from lstm_jax.gradients.state import (
    inexact_leaves,
    inexact_structure,
    pulled_back,
    with_inexact_leaves,
)
from lstm_jax.inputs import with_inputs, without_keys
from lstm_jax.masking import Masks, StepInput, Steps, over_time, prepare, unless_idle
from lstm_jax.types import Carry, Params, Sequences


def input_gradients(
    cell: Cell,
    params: Params,
    xs: Sequences,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Any:
    """Returns dL/dx_t for every t; zero where step t does not count.

    Arguments and errors as for `carry_gradients`.

    Returns:
      The structure of the inputs, leaves (time, *batch, ...); None in place of
      integers.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> last = lambda ys: ys[-1].sum()
      >>> lj.input_gradients(lj.LSTM, params, xs, last).shape
      (5, 2, 3)
    """
    steps = with_exact_slopes(prepare(cell, params, xs, carry, **masks))
    with jax.default_matmul_precision("highest"):
        ys, pullback = _shown(steps)
        dys = output_gradients(loss_fn, ys, steps.inputs.counts)
        gradients = pulled_back(pullback, dys)
    return inexact_structure(without_keys(steps.inputs.x), gradients)


@jax.jit
def _shown(steps: Steps) -> tuple[Any, Callable]:
    """Returns ys, and the pullback from dL/dys to the gradients of all inputs."""

    def run(steps, leaves):
        return over_time(steps, steps.step, _showing(steps.inputs, leaves))[1]

    leaves = inexact_leaves(without_keys(steps.inputs.x))
    return jax.vjp(
        lambda leaves: unless_idle(steps, lambda steps: run(steps, leaves)), leaves
    )


def log_input_gradient_norms(
    cell: Cell,
    params: Params,
    xs: Sequences,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Any:
    """Returns ln ||dL/dx_t|| for every t, even where the norm is 1e-3000.

    The adjoints run back as in `log_gradient_norms`, and each is pulled back to the
    input of its step. Arguments and errors as for `carry_gradients`.

    Returns:
      The structure of the inputs, leaves (time, *batch), natural logarithms; -inf where
      the gradient is zero; None in place of integers.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> xs = jnp.ones((5, 2, 3))
      >>> last = lambda ys: ys[-1].sum()
      >>> lj.log_input_gradient_norms(lj.LSTM, params, xs, last).shape
      (5, 2)
    """
    way = way_back(prepare(cell, params, xs, carry, **masks), loss_fn)
    norms = observed_on_the_way_back(way, input_log_norms)
    return inexact_structure(without_keys(way.steps.inputs.x), norms)


def input_log_norms(steps: Steps, at_t: StepBack) -> list[Float[Array, "*batch"]]:
    """Returns ln ||dL/dx_t|| at a step of the way back, for every inexact leaf of x."""

    def outputs(leaves):
        inputs = _showing(at_t.inputs, leaves)
        return step_outputs(steps, steps.shared, at_t.entering, inputs)

    _, pullback = wide_vjp(outputs, inexact_leaves(without_keys(at_t.inputs.x)))
    batch_axes = len(steps.batch_shape)
    return [
        scaled.log_norm(per_element(adjoint, batch_axes))
        for adjoint in pullback(at_t.leaving)
    ]


def _showing(inputs: StepInput, leaves: list[Array]) -> StepInput:
    x = with_inexact_leaves(without_keys(inputs.x), leaves)
    return inputs._replace(x=with_inputs(inputs.x, x))
