"""The three trainings of Pascanu et al. (2013): MSGD, clipped, and regularised.

Plain gradient descent on mini-batches at a constant rate, as in their code, RNN.py of
https://github.com/pascanur/trainingRNNs: MSGD as it is; MSGD-C with the norm of the
gradient of all weights clipped; MSGD-CR with α times the gradient of Ω added to that of
the recurrent weights, before the clip. Their code's Ω is not that of their equation 9
(`lj.gradients.omega`): with a_t = dL/dh_t and J_t the Jacobian of step t,

    Ω = Σ_t mean_b [ (r_t - 1)² ] / Σ_t share_b [ ||a_t||² >= 1e-20 ]
    r_t = ||J_tᵀ a_t||² / ||a_t||²,    1 where ||a_t||² < 1e-20

means and shares over the batch, and a_t and h_t constants.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

import lstm_jax as lj
from lstm_jax import initializers, readouts
from lstm_jax.initializers import Initializer
from lstm_jax.tasks import losses
from lstm_jax.training import criteria, loop
from lstm_jax.types import PRNGKey

METHODS = ("MSGD", "MSGD-C", "MSGD-CR")
INITS = ("sigmoid", "basic tanh", "smart tanh")
CLIP = 1.0
LEAST_SQUARE = 1e-20  # of an adjoint that counts
UNTRUSTED = 1e10  # a norm beyond it, or NaN, is not clipped
SHRINK = 0.02  # then W_hh is the gradient, times this, and the others' is 0


class Rates(NamedTuple):
    """Numbers of a training.

    Attributes:
      learning_rate: constant.
      alpha: weight of Ω.
    """

    learning_rate: float
    alpha: float


class Run(NamedTuple):
    """A backward pass, (time, batch, hidden) each.

    Attributes:
      deltas: dL/d(pre-activations of step t), so that J_tᵀ a_t = deltas_t W_hhᵀ.
      adjoints: a_t = dL/dh_t, all later steps included.
    """

    deltas: Array
    adjoints: Array


def normal(deviation: float) -> Initializer:
    """Returns an initializer of N(0, deviation²), whatever the fan-in."""

    def draw(key: PRNGKey, shape: tuple[int, ...], dtype: Any = float) -> Array:
        return deviation * jax.random.normal(key, shape, dtype)

    return draw


def cell_of(init: str) -> lj.Cell:
    """Returns the RNN of one of INITS."""
    return lj.rnn("logistic") if init == "sigmoid" else lj.RNN


def begin(key: PRNGKey, init: str, task: lj.Task, hidden_size: int) -> loop.ModelParams:
    """Returns the weights of one of INITS; biases are 0.

    sigmoid     all from N(0, 0.01²)
    basic tanh  all from N(0, 0.1²)
    smart tanh  N(0, 0.01²); 15 of 50 recurrent weights a unit, spectral radius 0.95
    """
    draw = normal(0.1 if init == "basic tanh" else 0.01)
    recurrent = initializers.sparse() if init == "smart tanh" else draw
    key_cell, key_readout = jax.random.split(key)
    cell = cell_of(init).init(
        key_cell,
        task.input_size,
        hidden_size,
        input_init=draw,
        recurrent_init=recurrent,
    )
    readout = readouts.init_linear(
        key_readout, hidden_size, task.output_size, init=draw
    )
    return loop.ModelParams(cell, readout)


def updated(
    cell: lj.Cell,
    task: lj.Task,
    method: str,
    rates: Rates,
    model: loop.ModelParams,
    batch: lj.tasks.Batch,
) -> tuple[loop.ModelParams, Float[Array, ""]]:
    """Returns the weights after one update, and the loss before it."""
    loss, gradients, run = backward(cell, task, model, batch)
    if method == "MSGD-CR":
        of_omega = jax.grad(omega)(model.cell.w_hh, run)
        w_hh = gradients.cell.w_hh + rates.alpha * of_omega
        gradients = gradients._replace(cell=gradients.cell._replace(w_hh=w_hh))
    if method != "MSGD":
        gradients = clipped(gradients, model)
    step = lambda weight, gradient: weight - rates.learning_rate * gradient
    return jax.tree.map(step, model, gradients), loss


def backward(
    cell: lj.Cell, task: lj.Task, model: loop.ModelParams, batch: lj.tasks.Batch
) -> tuple[Float[Array, ""], loop.ModelParams, Run]:
    """Returns the loss, its gradient, and the adjoints of the same backward pass.

    Zeros are added to every pre-activation, as inputs with weights of 1, and to the
    state that is read out; the gradients by them are those by what they are added to.
    """
    xs, units = batch.inputs, model.cell.b.shape[0]
    zeros = jnp.zeros((*xs.shape[:2], units), xs.dtype)

    def loss_fn(model, zeros, last_zeros):
        w_ih = jnp.concatenate([model.cell.w_ih, jnp.eye(units, dtype=xs.dtype)])
        probed = model.cell._replace(w_ih=w_ih)
        _, hs = lj.unroll(cell, probed, jnp.concatenate([xs, zeros], -1))
        return task.loss(readouts.linear(model.readout, hs[-1] + last_zeros), batch)

    differentiate = jax.value_and_grad(loss_fn, argnums=(0, 1, 2))
    loss, (gradients, deltas, last) = differentiate(model, zeros, zeros[-1])
    adjoints = jnp.concatenate([deltas[1:] @ model.cell.w_hh.T, last[None]])
    return loss, gradients, Run(deltas, adjoints)


def omega(w_hh: Float[Array, "hidden hidden"], run: Run) -> Float[Array, ""]:
    """Returns Ω of a run, as a function of the recurrent weights alone."""
    returned = jnp.sum((run.deltas @ w_hh.T) ** 2, axis=-1)
    sent = jnp.sum(run.adjoints**2, axis=-1)
    counts = sent >= LEAST_SQUARE
    ratio = jnp.where(counts, returned / jnp.where(counts, sent, 1), 1)
    counted = jnp.sum(jnp.mean(counts.astype(sent.dtype), axis=1))
    return jnp.sum(jnp.mean((ratio - 1) ** 2, axis=1)) / counted


def clipped(gradients: loop.ModelParams, model: loop.ModelParams) -> loop.ModelParams:
    """Returns gradients with a norm of CLIP at most.

    Where the norm of all together is no number, or above UNTRUSTED, the recurrent
    weights are shrunk and the rest stays.
    """
    norm = criteria.global_norm(gradients)
    factor = jnp.where(norm > CLIP, CLIP / norm, 1)
    trusted = norm <= UNTRUSTED
    scaled = jax.tree.map(lambda g: jnp.where(trusted, factor * g, 0), gradients)
    w_hh = jnp.where(trusted, scaled.cell.w_hh, SHRINK * model.cell.w_hh)
    return scaled._replace(cell=scaled.cell._replace(w_hh=w_hh))


def right(
    cell: lj.Cell, task: lj.Task, model: loop.ModelParams, batch: lj.tasks.Batch
) -> Bool[Array, " batch"]:
    """Returns which sequences are answered right; none by weights that overflew."""
    outputs = loop.predict(cell, task, model, batch)
    finite = jnp.isfinite(outputs).all(-1)
    return losses.argmax_right(outputs, batch) & finite
