"""Gradients with respect to what each step was shown: the bear itself."""

from typing import Unpack

import jax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell
from lstm_jax.gradients import scaled
from lstm_jax.gradients.adjoint import StepBack, pull, run_back, step_outputs
from lstm_jax.gradients.reading import LossFn, output_gradients
from lstm_jax.gradients.smooth import entering_carries
from lstm_jax.scanning import scan
from lstm_jax.steps import Masks, StepInput, Steps, prepare
from lstm_jax.types import Carry, LogNorms, Params
from lstm_jax.wrappers.keyed import Keyed


def input_gradients(
    cell: Cell,
    params: Params,
    xs: ArrayLike | Keyed,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> Float[Array, "time *batch input"]:
    """Returns dL/dx_t for every t; zero where step t does not count.

    Arguments and errors as for `carry_gradients`.
    """
    steps = prepare(cell, params, xs, carry, **masks)

    def outputs(x):
        inputs = _showing(steps.inputs, x)
        return scan(steps.step, params, steps.carry, inputs, reverse=steps.reverse)[1]

    with jax.default_matmul_precision("highest"):
        ys, pullback = jax.vjp(outputs, _shown(steps.inputs))
        (gradients,) = pullback(output_gradients(loss_fn, ys, steps.inputs.counts))
    return gradients


def log_input_gradient_norms(
    cell: Cell,
    params: Params,
    xs: ArrayLike | Keyed,
    loss_fn: LossFn,
    carry: Carry | None = None,
    **masks: Unpack[Masks],
) -> LogNorms:
    """Returns ln ||dL/dx_t|| for every t, also where the norm is 1e-3000.

    The adjoints run back as in `log_gradient_norms`, and each is pulled back to the
    input of its step. Arguments and errors as for `carry_gradients`.

    Returns:
      (time, *batch), natural logarithms; -inf where the gradient is zero.
    """
    steps = prepare(cell, params, xs, carry, **masks)

    with jax.default_matmul_precision("highest"):
        entering, ys = entering_carries(steps, params)
        return run_back(
            steps,
            params,
            entering,
            output_gradients(loss_fn, ys, steps.inputs.counts),
            lambda at_t: input_log_norm(steps, params, at_t),
        )


def input_log_norm(
    steps: Steps, params: Params, at_t: StepBack
) -> Float[Array, "*batch"]:
    """Returns ln ||dL/dx_t|| at one step of the way back."""

    def outputs(x):
        inputs = _showing(at_t.inputs, x[0])
        return step_outputs(steps, params, at_t.entering, inputs)

    (adjoint,) = pull(outputs, [_shown(at_t.inputs)], at_t.leaving)
    return scaled.log_norm(adjoint)


def _shown(inputs: StepInput) -> Array:
    return inputs.x.x if isinstance(inputs.x, Keyed) else inputs.x


def _showing(inputs: StepInput, x: Array) -> StepInput:
    if isinstance(inputs.x, Keyed):
        return inputs._replace(x=Keyed(x, inputs.x.key))
    return inputs._replace(x=x)
