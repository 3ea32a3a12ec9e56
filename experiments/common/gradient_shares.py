"""How far back the gradient of an answer reaches: networks in, numpy arrays out."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import lstm_jax as lj
from experiments.common import compiling
from experiments.common.saturation import saturation
from experiments.common.sequences import Read
from lstm_jax import readouts
from lstm_jax.gradients.contributions import log_weight_contributions
from lstm_jax.gradients.signal import FirstStepSignal
from lstm_jax.tasks.nature_show import margins
from lstm_jax.training import loop

Tree = TypeVar("Tree")

SIGNAL_EXAMPLES = 128
TEST_EXAMPLES = 512


class Watched(NamedTuple):
    """What the networks watch, and what they are asked.

    Attributes:
      task: what they are trained on; None for the user's own sequence.
      inputs: what they are measured on, (time, examples, input).
      targets: the right answers, (examples,); None for the user's own sequence.
      lag: of the verdict.
      read: the user's own sequence as it was read.
      tests: what the accuracy is measured on; None if it isn't.
    """

    task: lj.Task | None
    inputs: Float[Array, "time examples input"]
    targets: Array | None
    lag: int
    read: Read | None = None
    tests: lj.Batch | None = None


class Measured(NamedTuple):
    """What is measured on a network; after vmap, with leading axes.

    Attributes:
      log_norms: of the whole carry entering each step, (..., time, examples).
      log_carousel: the share that the forget gates alone would leave in a typical unit,
        the same shape; NaN for a cell that keeps no memory.
      accuracy: on test shows, (...); None without a task.
      saturation: by the user's own sequence, leaves (...); None on a task.
    """

    log_norms: Any
    log_carousel: Any
    accuracy: Any
    saturation: Any = None

    def of_variant(self, index: int) -> "Measured":
        """Returns the entries of one variant; variants are the first axis."""
        return jax.tree.map(lambda leaf: leaf[index], self)


def watched_show(
    key: jax.Array, rendering: str, lag: int, num_examples: int
) -> Watched:
    """Returns test shows of that lag, all with an ambiguous last image."""
    ambiguous = lj.tasks.nature_show(rendering, goldfish_rate=0.0)
    shows = sampled(ambiguous.sample_test, key, num_examples, lag + 2)
    return Watched(lj.tasks.nature_show(rendering), shows.inputs, shows.targets, lag)


def with_tests(watched: Watched) -> Watched:
    """Returns it with test shows, none of them measured, the same for every network."""
    if watched.task is None:
        return watched
    sizes = TEST_EXAMPLES, len(watched.inputs)
    tests = sampled(watched.task.sample_test, jax.random.key(1), *sizes)
    return watched._replace(tests=tests)


def sampled(sample: Callable[..., Tree], key: jax.Array, *sizes: int) -> Tree:
    """Returns what one of the samplers of a task draws, as one program."""
    return jax.block_until_ready(_compiled(sample)(key, *sizes))


@cache
def _compiled(sample: Callable[..., Tree]) -> Callable[..., Tree]:
    options = compiling.soon()
    return jax.jit(sample, static_argnums=(1, 2), compiler_options=options)


def watched_sequence(found: Read, lag: int) -> Watched:
    """Returns the user's own sequences, all of them as examples."""
    return Watched(None, jnp.asarray(found.values), None, lag, found)


def silence_like(watched: Watched) -> Watched:
    """Returns one example of the same length whose inputs are all zero."""
    return Watched(None, jnp.zeros_like(watched.inputs[:, :1]), None, watched.lag)


def measurer(cell: lj.Cell, watched: Watched) -> Callable[[loop.ModelParams], Measured]:
    """Returns a compiled function from networks to `Measured`, network axis first."""

    def one(model, tests):
        inputs = watched.inputs.astype(model.readout.w.dtype)
        log_norms, task = _log_norms(cell, model, watched), watched.task
        if cell.memory is None:
            log_carousel = jnp.full_like(log_norms, jnp.nan)
        else:
            log_carousel = _log_carousel(cell, model, inputs)
        return Measured(
            log_norms=log_norms,
            log_carousel=log_carousel,
            accuracy=_accuracy(cell, task, model, tests) if task and tests else None,
            saturation=None if task else saturation(cell, model.cell, inputs),
        )

    over_models = jax.jit(
        jax.vmap(one, in_axes=(0, None)), compiler_options=compiling.soon()
    )
    return lambda models: over_models(models, watched.tests)


def log_norms(
    cell: lj.Cell, models: loop.ModelParams, watched: Watched
) -> Float[np.ndarray, "network time examples"]:
    """Returns `Measured.log_norms` alone, of networks with leaves (network, ...)."""
    one = partial(_log_norms, cell, watched=watched)
    found = jax.jit(jax.vmap(one), compiler_options=compiling.soon())(models)
    return np.asarray(found)


def _log_norms(
    cell: lj.Cell, model: loop.ModelParams, watched: Watched
) -> Float[Array, "time examples"]:
    def score(ys):
        return jnp.sum(_scores(model, ys[-1], watched))

    inputs = watched.inputs.astype(model.readout.w.dtype)
    return lj.joint_log_norms(lj.log_gradient_norms(cell, model.cell, inputs, score))


def _scores(
    model: loop.ModelParams, last: Float[Array, "examples output"], watched: Watched
) -> Float[Array, " examples"]:
    """Returns the margins; without a right answer, the output in a random direction."""
    answers = readouts.linear(model.readout, last)
    if watched.targets is None:
        return answers[:, 0]
    return margins(answers, watched.targets)


def _log_carousel(
    cell: lj.Cell, model: loop.ModelParams, inputs: Array
) -> Float[Array, "time examples"]:
    """Returns Σ ln f_s, s from step t to the last but one, averaged over the units.

    That is the logarithm of the units' geometric mean of Π f_s.
    """
    factors = lj.gradients.forget_factors(cell, model.cell, inputs)
    log_factors = jnp.log(factors.astype(jnp.float32)).mean(-1).at[-1].set(0)
    return jnp.cumsum(log_factors[::-1], axis=0)[::-1]


def _accuracy(
    cell: lj.Cell, task: lj.Task, model: loop.ModelParams, tests: lj.Batch
) -> Array:
    return jnp.asarray(task.accuracy(loop.predict(cell, task, model, tests), tests))


def signal_to_noise(
    cell: lj.Cell, watched: Watched, models: loop.ModelParams, batch_size: int
) -> np.ndarray | None:
    """Returns how the scene's part of the weight gradient compares with batch noise.

    (network, 2): the ratio on the training loss, for batches of `batch_size`, and the
    smallest ratio that can be told from zero. None without a task: there is no loss.
    """
    if watched.task is None:
        return None
    task = watched.task
    length = watched.inputs.shape[0]
    batch = sampled(task.sample, jax.random.key(2), SIGNAL_EXAMPLES, length)

    def one(model):
        found = model_signal(cell, task, model, batch, -1, batch_size)
        return jnp.stack([found.signal, found.resolution]) / found.noise

    over_models = jax.jit(
        lambda models: jax.lax.map(one, models), compiler_options=compiling.soon()
    )
    found = over_models(models)
    return np.asarray(found, np.float64)


def model_signal(
    cell: lj.Cell,
    task: lj.Task,
    model: loop.ModelParams,
    batch: lj.Batch,
    answer_step: int | Array,
    batch_size: int,
) -> FirstStepSignal:
    """Returns `lj.gradients.first_step_signal` of the training loss of one network.

    The task has one answer per sequence, given at `answer_step` in all of `batch`;
    the noise is that of batches of `batch_size`.
    """

    def loss(ys, target):
        answer = readouts.linear(model.readout, ys[answer_step])
        alone = lj.Batch(
            batch.inputs[:, :1], target[None], jnp.ones(1), batch.lengths[:1]
        )
        return task.loss(answer[None], alone)

    inputs = batch.inputs.astype(model.readout.w.dtype)
    return lj.gradients.first_step_signal(
        cell, model.cell, inputs, loss, batch.targets, batch_size
    )


def log_contributions(
    cell: lj.Cell, task: lj.Task, model: loop.ModelParams, batch: lj.Batch
) -> Float[Array, " time"]:
    """Returns ln ||dL/dW_t|| of all weights, L the training loss of a batch.

    The task has one answer per sequence, given at the last step.
    """

    def loss(ys):
        return task.loss(readouts.linear(model.readout, ys[-1]), batch)

    parts = log_weight_contributions(cell, model.cell, batch.inputs, loss)
    return lj.joint_log_norms(parts)


def unflatten(found: Tree, shape: tuple[int, int]) -> Tree:
    """Returns numpy arrays with axes (variant, seed) in place of the network axis."""
    return jax.tree.map(
        lambda leaf: np.asarray(leaf).reshape(*shape, *leaf.shape[1:]), found
    )
