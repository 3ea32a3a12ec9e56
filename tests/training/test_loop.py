"""train: what an update does, on which batch, in which dtype, and that it learns."""

import dataclasses
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import slow_but
from training.signs import SIGNS, STEPS, momentum, numbers_of

import lstm_jax as lj
from lstm_jax.training import loop
from lstm_jax.training.loop import init_train_state, predict, train_steps

HIDDEN = 6


NUM_STEPS = 2


NUMBERS = {"learning_rate": 0.1, "clip": 1e9, "forget_bias": 1.0}


def train(key, *, task=SIGNS, dtype: Any = jnp.float32, **numbers):
    """A small training under jit; the numbers are traced and share a compilation."""
    return jitted_train(key, NUMBERS | numbers, task=task, dtype=dtype)


@partial(jax.jit, static_argnames=("task", "dtype"))
def jitted_train(key, numbers, *, task, dtype):
    return lj.train(
        key,
        lj.LSTM,
        task,
        momentum(numbers["learning_rate"], numbers["clip"]),
        hidden_size=HIDDEN,
        num_steps=NUM_STEPS,
        init_options={"dtype": dtype, "forget_bias": numbers["forget_bias"]},
        **STEPS,
    )


@jax.jit
def initial(key):
    return init_train_state(key, lj.LSTM, SIGNS, momentum(), hidden_size=HIDDEN)


def one_update(state, **numbers):
    return jitted_update(state, NUMBERS | numbers)


@jax.jit
def jitted_update(state, numbers):
    optimizer = momentum(numbers["learning_rate"], numbers["clip"])
    step = loop.step_function(lj.LSTM, SIGNS, optimizer, **STEPS)
    return train_steps(state, 1, step)


def distance(before, after):
    """The Euclidean distance between two trees of weights."""
    leaves = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    differences = [np.asarray(b, float) - np.asarray(a, float) for a, b in leaves]
    return np.sqrt(sum(np.sum(difference**2) for difference in differences))


@pytest.mark.slow
def test_the_same_key_trains_the_same_model_and_another_key_another(key):
    (state, history), (again, same_history) = train(key), train(key)
    jax.tree.map(assert_array_equal, numbers_of(state), numbers_of(again))
    jax.tree.map(assert_array_equal, history, same_history)
    other, _ = train(jax.random.fold_in(key, 1))
    assert distance(state.params, other.params) > 0.1


def test_train_is_an_initial_state_and_steps_that_continue_each_other(key):
    whole, history = train(key)
    state, first = one_update(initial(key))
    state, second = one_update(state)
    assert int(whole.step) == NUM_STEPS
    close = partial(assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(close, numbers_of(state), numbers_of(whole))
    jax.tree.map(lambda *a: close(np.concatenate(a[:2]), a[2]), first, second, history)


@pytest.mark.slow
def test_vmap_over_keys_and_forget_biases_equals_single_runs(key):
    keys, biases = jax.random.split(key, 3), jnp.array([0.0, 1.0, 5.0])
    states, histories = jax.vmap(
        lambda key, forget_bias: train(key, forget_bias=forget_bias)
    )(keys, biases)
    close = partial(assert_allclose, rtol=1e-4, atol=1e-5)
    for n in range(3):
        state, history = train(keys[n], forget_bias=biases[n])
        vmapped = jax.tree.map(lambda leaf, n=n: leaf[n], (states.params, histories))
        jax.tree.map(close, vmapped, (state.params, history))
    forget = states.params.cell.b[:, HIDDEN : 2 * HIDDEN]
    assert_allclose(np.mean(forget, axis=1), biases, atol=0.2)


def test_history_has_one_entry_per_update_each_on_a_fresh_batch(key):
    state, history = train(key, learning_rate=0.0)
    assert isinstance(state, lj.training.TrainState) and isinstance(
        history, lj.training.History
    )
    assert history.loss.shape == history.accuracy.shape == (NUM_STEPS,)
    assert len(set(np.asarray(history.loss).tolist())) == NUM_STEPS
    assert np.all((history.accuracy >= 0) & (history.accuracy <= 1))
    assert distance(initial(key).params, state.params) == 0


def test_history_tells_of_the_batch_before_its_update(key):
    _, fast = train(key, learning_rate=1.0)
    _, slow = train(key, learning_rate=0.1)
    assert_allclose(fast.loss[0], slow.loss[0], rtol=1e-6)
    assert abs(fast.loss[1] - slow.loss[1]) > 1e-3


def test_the_update_goes_down_the_gradient_of_the_loss(key):
    # The first update by hand: the same data key, one step of plain descent.
    start = initial(key)
    after, history = one_update(start)
    next_key, key_batch = jax.random.split(start.key)

    @jax.jit
    def by_hand(params):
        batch = SIGNS.sample(key_batch, *STEPS.values())
        loss_of = lambda p: SIGNS.loss(predict(lj.LSTM, SIGNS, p, batch), batch)
        loss, gradient = jax.value_and_grad(loss_of)(params)
        return loss, jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)

    loss, wanted = by_hand(start.params)
    jax.tree.map(partial(assert_allclose, atol=1e-6), after.params, wanted)
    assert_allclose(history.loss[0], loss, rtol=1e-6)
    assert after.key == next_key


def test_gradients_are_clipped_in_front_of_the_optimiser(key):
    start, clip = initial(key), 1e-3
    clipped, _ = one_update(start, learning_rate=1.0, clip=clip)
    free, _ = one_update(start, learning_rate=1.0)
    assert_allclose(distance(start.params, clipped.params), clip, rtol=1e-3)
    assert distance(start.params, free.params) > 10 * clip


def drawn_by_nobody(*_, **__):
    raise AssertionError("this split must not be drawn from")


def test_evaluate_draws_from_the_test_split_and_train_never_does(key):
    no_train = dataclasses.replace(SIGNS, sample=drawn_by_nobody)
    no_test = dataclasses.replace(SIGNS, sample_test=drawn_by_nobody)
    params = initial(key).params
    evaluate = partial(lj.evaluate, key, lj.LSTM, batch_size=50, length=4)
    # Tracing is enough to see what would be drawn.
    jax.eval_shape(lambda: train(key, task=no_test)[1])
    for forbidden in (
        lambda: train(key, task=no_train)[1],
        lambda: evaluate(no_test, params),
    ):
        with pytest.raises(AssertionError, match="must not be drawn"):
            jax.eval_shape(forbidden)

    @jax.jit
    def by_hand():
        batch = SIGNS.sample_test(key, 50, 4)
        outputs = predict(lj.LSTM, SIGNS, params, batch)
        return lj.training.Evaluation(
            SIGNS.loss(outputs, batch), SIGNS.accuracy(outputs, batch)
        )

    found = jax.jit(lambda: evaluate(no_train, params))()
    assert isinstance(found, lj.training.Evaluation)
    jax.tree.map(partial(assert_allclose, rtol=1e-6), found, by_hand())


def test_what_lies_beyond_the_length_does_not_change_the_answer(key):
    answers = jax.jit(partial(predict, lj.LSTM, SIGNS, initial(key).params))
    batch = jax.jit(lambda key: SIGNS.sample(key, 6, 7, 4))(key)
    inputs = np.array(batch.inputs)
    short = batch._replace(inputs=inputs[:4].copy())
    inputs[4:] = 9
    noisy = batch._replace(inputs=inputs)
    for padded in (batch, noisy):
        assert_allclose(answers(padded), answers(short), rtol=1e-5, atol=1e-7)


def assert_trained_in(dtype, key):
    state, history = train(key, dtype=dtype)
    weights = jax.tree.leaves((state.params, state.opt_state))
    assert {leaf.dtype for leaf in weights} == {jnp.dtype(dtype)}
    start, _ = train(key, dtype=dtype, learning_rate=0.0)
    assert distance(start.params, state.params) > 0.01
    assert np.all(np.isfinite(np.asarray(history.loss, float)))


def test_weights_in_half_precision_stay_so(key):
    assert_trained_in(jnp.bfloat16, key)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_weights_in_double_precision_stay_so(key):
    assert_trained_in(jnp.float64, key)


SHOW = lj.tasks.nature_show("vectors")


@pytest.fixture(scope="module")
def held_out():
    """A batch that training never draws."""
    return jax.jit(SHOW.sample_test, static_argnums=(1, 2))(jax.random.key(1), 500, 5)


@pytest.mark.slow
def test_an_untrained_model_is_no_better_than_three_equal_chances(key, held_out):
    @jax.jit
    @jax.vmap
    def loss_of(key):
        state = init_train_state(key, lj.LSTM, SHOW, momentum(), hidden_size=HIDDEN)
        return SHOW.loss(predict(lj.LSTM, SHOW, state.params, held_out), held_out)

    losses = loss_of(jax.random.split(key, 20))
    assert abs(np.mean(losses) - np.log(3)) < 0.15


@pytest.mark.slow
def test_an_lstm_learns_a_lag_of_three(key, held_out):
    learn = jax.jit(
        lambda key: lj.train(
            key,
            lj.LSTM,
            SHOW,
            optax.chain(optax.clip_by_global_norm(1.0), optax.adam(2e-2)),
            hidden_size=16,
            num_steps=300,
            batch_size=32,
            length=5,
        )
    )
    state, history = learn(key)
    outputs = predict(lj.LSTM, SHOW, state.params, held_out)
    assert SHOW.accuracy(outputs, held_out) >= 0.95
    assert SHOW.loss(outputs, held_out) < SHOW.floor(5) / 2 < history.loss[0]


@pytest.mark.parametrize(
    ("rendering", "dtype"),
    slow_but(
        [("vectors", jnp.bfloat16), ("digits", jnp.float64)],
        [*product(("digits", "vectors"), (jnp.bfloat16, jnp.float64))],
    ),
)
def test_the_nature_show_is_read_in_the_dtype_of_the_weights(
    key, x64, rendering, dtype
):
    state, _ = jax.eval_shape(
        lambda: lj.train(
            key,
            lj.LSTM,
            lj.tasks.nature_show(rendering),
            optax.adam(1e-3),
            hidden_size=HIDDEN,
            num_steps=2,
            init_options={"dtype": dtype},
            **STEPS,
        )
    )
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((state.params, state.opt_state))}
    assert dtypes == {jnp.dtype(dtype), jnp.dtype(jnp.int32)}  # Adam counts steps
