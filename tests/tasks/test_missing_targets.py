"""An answer of weight 0 is not there: not in a loss, its gradient, nor a criterion."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import slow_but

import lstm_jax as lj
from lstm_jax.tasks import losses

BATCH = 12
TEXT = "the bear is in the wood. the cat is at home. " * 8
TASKS = {
    **lj.TASKS,
    "nature_show": lj.tasks.nature_show("vectors"),
    "character_language": lj.tasks.character_language(TEXT),
    "long_time_lag_2c": lj.tasks.long_time_lag_2c(5, "logistic"),
    "embedded_reber": lj.tasks.embedded_reber("logistic"),
}
ONE_OF_EACH_CRITERION = (
    *("nature_show", "adding", "adding_1997", "two_sequence_3c", "latch", "anbn"),
    *("temporal_order", "long_time_lag_2a", "long_time_lag_2b", "long_time_lag_2c"),
    *("copy_memory", "embedded_reber", "temporal_order_pascanu"),
)
FEW = ("nature_show", "adding", "anbn", "temporal_order")
every_task = pytest.mark.parametrize("name", slow_but(FEW, TASKS))


@cache
def drawn(name):
    """A batch of which every third answer is not asked for, the first one least."""
    task = TASKS[name]
    length = 64 if name.endswith("digits") else 22
    batch = jax.jit(task.sample, static_argnums=(1, 2))(
        jax.random.key(3), BATCH, length
    )
    random = np.random.default_rng(0).random(batch.weights.shape) < 0.35
    random[..., 0] = True
    weights = np.where(random, np.float32(0), batch.weights)
    return jax.tree.map(np.asarray, batch._replace(weights=weights))


def outputs_for(name, batch):
    shape = (*batch.weights.shape, TASKS[name].output_size)
    return np.random.default_rng(4).standard_normal(shape).astype(np.float32)


def missing(values, batch, garbage):
    """The values with garbage where nothing is asked for."""
    asked = np.asarray(batch.weights) != 0
    asked = asked.reshape(*asked.shape, *(1,) * (values.ndim - asked.ndim))
    return np.where(asked, values, np.asarray(garbage, values.dtype))


def spoilt(batch):
    """The batch with what people put where they know no target, one after the other."""
    floating = jnp.issubdtype(batch.targets.dtype, jnp.floating)
    for garbage in (np.nan, np.inf, -1.0) if floating else (-1, 10**6, -(2**31)):
        yield batch._replace(targets=missing(batch.targets, batch, garbage))


@cache
def scores_of(task):
    @jax.jit
    def scores(outputs, batch):
        loss = jax.value_and_grad(lambda outputs: task.loss(outputs, batch))
        return (
            loss(outputs),
            task.accuracy(outputs, batch),
            task.correct(outputs, batch),
        )

    return scores


@every_task
def test_what_is_missing_changes_no_score_and_no_gradient(name):
    batch = drawn(name)
    outputs, scores = outputs_for(name, batch), scores_of(TASKS[name])
    wanted = scores(outputs, batch)
    (loss, gradient), accuracy, correct = wanted
    assert np.isfinite(loss) and np.all(np.isfinite(gradient))
    assert 0 <= accuracy <= 1 and correct.shape == (BATCH,)
    for other in spoilt(batch):
        found = scores(missing(outputs, batch, np.nan), other)
        jax.tree.map(assert_array_equal, found, wanted)


@pytest.mark.parametrize("name", slow_but(FEW, ONE_OF_EACH_CRITERION))
def test_a_sequence_that_is_not_asked_is_as_if_it_were_not_there(name):
    batch = drawn(name)
    first = np.arange(BATCH) == 0
    batch = batch._replace(weights=np.where(first, np.float32(0), batch.weights))
    outputs, task = outputs_for(name, batch), TASKS[name]
    rest = lj.Batch(
        inputs=batch.inputs[:, 1:],
        targets=batch.targets[1:] if task.answers == "last_step" else
        batch.targets[:, 1:],
        weights=batch.weights[..., 1:],
        lengths=batch.lengths[1:],
    )  # fmt: skip
    others = outputs[1:] if task.answers == "last_step" else outputs[:, 1:]
    scores = scores_of(task)
    (loss, _), accuracy, correct = scores(outputs, batch)
    (wanted, _), wanted_accuracy, wanted_correct = scores(others, rest)
    assert_allclose(loss, wanted, rtol=1e-5)
    assert_array_equal(accuracy, wanted_accuracy)
    assert correct[0]
    assert_array_equal(correct[1:], wanted_correct)


@every_task
def test_a_batch_that_asks_nothing_teaches_nothing(name):
    batch = drawn(name)
    batch = batch._replace(weights=np.zeros_like(batch.weights))
    (loss, gradient), accuracy, correct = scores_of(TASKS[name])(
        missing(outputs_for(name, batch), batch, np.nan), next(spoilt(batch))
    )
    assert loss == 0 and not np.any(gradient)
    assert np.isnan(accuracy) and np.all(correct)


NUMBERS = {
    "one number each": ((4,), 1),
    "one number each, in an axis of its own": ((4, 1), 1),
    "three numbers each": ((4, 3), 3),
    "three numbers at every step": ((5, 4, 3), 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NUMBERS)
def test_errors_are_counted_over_all_the_numbers_of_an_answer(name, key, x64):
    shape, numbers = NUMBERS[name]
    answered = shape[:-1] if len(shape) > 1 else shape
    random = np.random.default_rng(1)
    targets, outputs = (
        random.normal(size=shape),
        random.normal(size=(*answered, numbers)),
    )
    weights = random.uniform(0.5, 2, size=answered)
    weights[..., 1] = 0
    batch = lj.Batch(jnp.zeros((5, 4, 1)), jnp.asarray(targets), jnp.asarray(weights),
                     jnp.full(4, 5))  # fmt: skip
    errors = outputs - targets.reshape(outputs.shape)
    wanted = (weights * (errors**2).mean(-1)).sum() / weights.sum()
    batch = next(spoilt(batch))
    found = losses.squared_error(jnp.asarray(outputs), batch)
    assert_allclose(found, wanted, rtol=1e-12)
    right = losses.within(0.9, jnp.asarray(outputs), batch)
    assert_array_equal(right | (weights == 0), np.all(abs(errors) < 0.9, -1) |
                       (weights == 0))  # fmt: skip


def test_a_user_s_own_losses_are_not_read_where_nothing_is_asked(x64):
    weights = jnp.array([1.0, 0.0, 3.0])
    batch = lj.Batch(jnp.zeros((1, 3, 1)), weights, weights, jnp.ones(3, jnp.int32))
    each = jnp.array([2.0, np.nan, 4.0])
    of = jax.jit(jax.value_and_grad(losses.weighted_mean))
    loss, gradient = of(each, batch)
    assert loss == 3.5
    assert_array_equal(gradient, [0.25, 0, 0.75])


CLASSES = {
    "cross_entropy": losses.cross_entropy,
    "logistic_squared_error": losses.logistic_squared_error,
    "argmax_right": losses.argmax_right,
    "classes_within": partial(losses.classes_within, 0.2),
    "accuracy": losses.accuracy,
    "all_right": losses.all_right,
}


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize(
    ("targets", "error", "told"),
    [
        ([0, -1, 1], ValueError, r"targets: found -1; .* in \[0, 3\], the classes"),
        ([0, 4, 1], ValueError, r"targets: found 4; .* in \[0, 3\], the classes"),
        ([0.0, 1.0, 1.0], TypeError, "targets: dtype is float32; it must be integer"),
        ([[0], [1], [1]], ValueError, r"targets: shape is \(3, 1\); it must be \(3,\)"),
    ],
)
def test_targets_that_are_no_classes_are_refused(name, targets, error, told):
    batch = lj.Batch(
        jnp.zeros((2, 3, 1)), jnp.asarray(targets), jnp.ones(3), jnp.full(3, 2)
    )
    with pytest.raises(error, match=f"^{told}[^\n]*$"):
        CLASSES[name](jnp.zeros((3, 4)), batch)


@pytest.mark.parametrize("target", [-1, 4, 10**6])
@pytest.mark.parametrize("loss", [losses.cross_entropy, losses.logistic_squared_error])
def test_a_class_that_does_not_exist_has_no_loss_where_it_can_not_be_refused(
    loss, target
):
    targets = jnp.array([0, target, 1])
    batch = lj.Batch(jnp.zeros((2, 3, 1)), targets, jnp.ones(3), jnp.full(3, 2))
    assert np.isnan(jax.jit(loss)(jnp.zeros((3, 4)), batch))


@pytest.mark.parametrize("shape", [(3, 2), (2,), (3, 1, 1)])
def test_numbers_of_another_shape_than_the_outputs_are_refused(shape):
    batch = lj.Batch(
        jnp.zeros((2, 3, 1)), jnp.zeros(shape), jnp.ones(3), jnp.full(3, 2)
    )
    for function in (losses.squared_error, partial(losses.within, 0.1)):
        with pytest.raises(ValueError, match=r"^outputs: shape is \(3, 4\); it must"):
            function(jnp.zeros((3, 4)), batch)
