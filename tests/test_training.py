"""train: pure, deterministic, and good enough to learn a lag."""

import dataclasses
import inspect
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binomtest

import lstm_jax as lj
from lstm_jax.tasks.nature_show import cross_entropy
from lstm_jax.training import criteria, loop, sharding
from lstm_jax.training.curricula import growing_length
from lstm_jax.training.loop import init_train_state, predict, train_steps
from lstm_jax.training.runs import train_many
from lstm_jax.training.success import success_rate

HIDDEN = 6
STEPS: dict[str, Any] = {"batch_size": 16, "length": 4}
NUM_STEPS = 2


def draw_signs(key, batch_size, max_length, length=None):
    """Noise; the question at the end is the sign of the first number."""
    length = max_length if length is None else length
    inputs = jax.random.normal(key, (max_length, batch_size, 2), jnp.float32)
    return lj.Batch(
        inputs=jnp.where(jnp.arange(max_length)[:, None, None] < length, inputs, 0),
        targets=(inputs[0, :, 0] > 0).astype(jnp.int32),
        weights=jnp.ones((batch_size,), jnp.float32),
        lengths=jnp.full((batch_size,), length, jnp.int32),
    )


# A task that a user wrote, because the nature show takes seconds to compile.
SIGNS = lj.Task(
    name="signs",
    input_size=2,
    output_size=2,
    answers="last_step",
    sample=draw_signs,
    sample_test=draw_signs,
    loss=cross_entropy,
    accuracy=lambda outputs, batch: jnp.mean(
        (outputs[:, 1] > outputs[:, 0]) == (batch.targets == 1)
    ),
    floor=lambda length: np.log(2),
)


def momentum(learning_rate=0.1, clip=1e9):
    """Descent whose first update is the gradient itself, times the learning rate."""
    return optax.chain(
        optax.clip_by_global_norm(clip), optax.sgd(learning_rate, momentum=0.9)
    )


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


def numbers_of(state):
    """Everything in a state but its key, which NumPy cannot read."""
    return state._replace(key=jax.random.key_data(state.key))


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
    _, key_batch = jax.random.split(start.key)
    batch = SIGNS.sample(key_batch, *STEPS.values())
    loss_of = lambda params: SIGNS.loss(predict(lj.LSTM, SIGNS, params, batch), batch)
    loss, gradient = jax.jit(jax.value_and_grad(loss_of))(start.params)
    wanted = jax.tree.map(lambda p, g: p - 0.1 * g, start.params, gradient)
    jax.tree.map(partial(assert_allclose, atol=1e-6), after.params, wanted)
    assert_allclose(history.loss[0], loss, rtol=1e-6)
    assert after.key == jax.random.split(start.key)[0]


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
    batch = SIGNS.sample(key, 6, 7, 4)
    short = batch._replace(inputs=batch.inputs[:4])
    noisy = batch._replace(inputs=batch.inputs.at[4:].set(9.0))
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


@pytest.mark.usefixtures("x64")
def test_weights_in_double_precision_stay_so(key):
    assert_trained_in(jnp.float64, key)


# ---------------------------------------------------------------------------
# Chunks, curricula, criteria; on a cell that compiles fast
# ---------------------------------------------------------------------------


def small_step(task=SIGNS, optimizer=None, **options):
    arguments: dict[str, Any] = {"batch_size": 3, "length": 4} | options
    return loop.step_function(lj.RNN, task, optimizer or momentum(), **arguments)


def small_start(key, optimizer, task=SIGNS):
    return init_train_state(key, lj.RNN, task, optimizer, hidden_size=2)


def test_how_a_run_is_cut_into_chunks_changes_not_one_bit(key):
    optimizer, traced = momentum(), []
    step = small_step(optimizer=optimizer)

    @jax.jit
    def chunk(state, count):
        traced.append(count)
        return loop.train_chunk(state, count, step, most_steps=10)

    start = small_start(key, optimizer)
    whole, history = chunk(start, 10)
    for cuts in ([1, 2, 3, 4], [9, 1], [0, 7, 3]):
        state, losses = start, []
        for count in cuts:
            state, part = chunk(state, count)
            assert np.all(np.isnan(part.loss[count:]))
            losses.append(part.loss[:count])
        jax.tree.map(assert_array_equal, numbers_of(state), numbers_of(whole))
        assert_array_equal(np.concatenate(losses), history.loss)
    assert len(traced) == 1
    by_scan, same = jax.jit(lambda state: train_steps(state, 10, step))(start)
    close = partial(assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(close, (numbers_of(by_scan), same), (numbers_of(whole), history))


def mean_length(outputs, batch):
    """An "accuracy" that tells which lengths were drawn."""
    del outputs
    return jnp.mean(batch.lengths.astype(jnp.float32))


def test_a_curriculum_draws_its_lengths_and_traces_once(key):
    traced = []

    def sample(key, batch_size, max_length, length=None):
        traced.append(max_length)
        return draw_signs(key, batch_size, max_length, length)

    task = dataclasses.replace(SIGNS, sample=sample, accuracy=mean_length)
    grown = growing_length(2, 7, 5)
    step = small_step(task, momentum(), batch_size=1, length=grown, max_length=9)
    chunk = jax.jit(partial(loop.train_chunk, step=step, most_steps=8))
    start = small_start(key, momentum())
    state, history = chunk(start, 4)
    _, rest = chunk(state, 4)
    drawn = np.concatenate([history.accuracy[:4], rest.accuracy[:4]])
    assert_array_equal(drawn, [2, 3, 4, 5, 6, 7, 7, 7])
    assert set(traced) == {9} and len(traced) <= 2
    fixed = small_step(task, momentum(), batch_size=1, length=5, max_length=9)
    _, history = jax.jit(fixed)(start)
    assert history.accuracy == 5


@pytest.mark.parametrize(("first", "last"), [(3, 100), (100, 3), (5, 5)])
def test_a_growing_length_is_linear_and_then_stays(first, last):
    length = growing_length(first, last, 40)
    found = [int(length(jnp.int32(step))) for step in (0, 1, 13, 39, 40, 41, 2**31 - 1)]
    wanted = [first + (last - first) * step // 40 for step in (0, 1, 13, 39)]
    assert found == [*wanted, last, last, last]


def test_a_run_that_diverges_is_marked_and_frozen_before_its_update(key):
    # The first update goes 1e30 away; the second one finds the loss gone.
    optimizer = optax.adam(1e30)
    step = jax.jit(small_step(optimizer=optimizer))
    first, one = step(small_start(key, optimizer))
    second, two = step(first)
    third, three = step(second)
    assert np.isfinite(one.loss) and one.gradient_norm > 0 and first.diverged_at == -1
    assert not two.loss <= criteria.EXPLODED
    assert second.step == 1 and second.diverged_at == 2
    frozen = numbers_of(second._replace(diverged_at=first.diverged_at))
    jax.tree.map(assert_array_equal, frozen, numbers_of(first))
    jax.tree.map(assert_array_equal, numbers_of(third), numbers_of(second))
    assert np.all(np.isnan(three))


@pytest.mark.parametrize(
    ("loss", "norm", "diverged"),
    [
        (1.0, 1.0, False),
        (-5.0, 1e20, False),
        (0.0, 0.0, False),
        (1.0, np.inf, True),
        (1.0, np.nan, True),
        (np.nan, 1.0, True),
        (-np.inf, 1.0, True),
        (1e13, 1.0, True),
    ],
)
def test_what_counts_as_diverged(loss, norm, diverged):
    assert criteria.has_diverged(jnp.float32(loss), jnp.float32(norm)) == diverged


def test_the_gradient_norm_is_over_all_leaves_and_in_float32():
    tree = {"a": jnp.full((300, 3), 0.1, jnp.bfloat16), "b": jnp.array([2.0, -1.0])}
    wanted = np.sqrt(
        sum(np.sum(np.asarray(leaf, float) ** 2) for leaf in tree.values())
    )
    with jax.numpy_dtype_promotion("standard"):
        assert_allclose(criteria.global_norm(tree), wanted, rtol=1e-6)
    half = criteria.global_norm({"a": tree["a"]})
    assert half.dtype == jnp.float32
    assert_allclose(half, np.sqrt(900) * float(tree["a"][0, 0]), rtol=1e-6)


def test_right_answers_in_a_row_are_counted_across_batches():
    random = np.random.default_rng(0)
    right, count, before = random.random((40, 4)) < 0.7, 0, jnp.int32(0)
    for batch in right:
        wanted = []
        for one in batch:
            count = count + 1 if one else 0
            wanted.append(count)
        found = criteria.right_in_a_row(before, jnp.asarray(batch))
        assert_array_equal(found, wanted)
        before = found[-1]
    assert max(right.sum(1)) == 4  # some batch was right from end to end


def judged_by_first_input(outputs, batch):
    """Right where the first number is below 1: five times in six, and learned by no
    one."""
    del outputs
    return batch.inputs[0, :, 0] < 1


def test_training_ends_once_enough_sequences_in_a_row_were_right(key):
    task = dataclasses.replace(SIGNS, correct=judged_by_first_input)
    step = jax.jit(small_step(task, momentum(), stop_after=8))
    state, count, solved = small_start(key, momentum()), 0, False
    for number in range(1, 60):
        batch = SIGNS.sample(jax.random.split(state.key)[1], 3, 4)
        for right in np.asarray(judged_by_first_input(None, batch)):
            count = count + 1 if right else 0
            solved = solved or count >= 8
        state, _ = step(state)
        assert state.right_in_a_row == count and state.step == number
        assert state.solved_at == (number if solved else -1)
        if solved:
            break
    assert solved and state.step > 3
    frozen, history = step(state)
    jax.tree.map(assert_array_equal, numbers_of(frozen), numbers_of(state))
    assert np.isnan(history.loss)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"stop_after": 5}, "stop_after: got 5; it must be None, for the task 'signs'"),
        ({"stop_after": 0}, "stop_after: got 0; it must be at least 1"),
        ({"length": growing_length(1, 2, 3)}, "max_length: got None; it must be"),
    ],
)
def test_what_can_not_be_trained_is_refused(options, told):
    with pytest.raises(ValueError, match=told):
        small_step(optimizer=momentum(), **options)


@pytest.mark.parametrize("values", [(0, 3, 5), (3, 0, 5), (3, 4, 0), (1, 2**20, 2**20)])
def test_a_length_that_can_not_grow_is_refused(values):
    with pytest.raises(ValueError, match=r"^(first|last|num_steps): got \d+; it must"):
        growing_length(*values)


def test_a_task_that_asks_at_every_step_is_answered_there(key):
    every = dataclasses.replace(SIGNS, answers="every_step")
    params = small_start(key, momentum()).params
    batch = SIGNS.sample(key, 5, 4)
    answers = predict(lj.RNN, every, params, batch)
    assert answers.shape == (4, 5, 2)
    _, ys = lj.unroll(lj.RNN, params.cell, batch.inputs)
    wanted = np.asarray(ys) @ params.readout.w + params.readout.b
    assert_allclose(answers, wanted, rtol=1e-5)
    last = predict(lj.RNN, SIGNS, params, batch)
    assert_allclose(answers[-1], last, rtol=1e-5)


# ---------------------------------------------------------------------------
# Cells that draw random numbers
# ---------------------------------------------------------------------------

NOISY = {
    "step": lj.zoneout(lj.RNN, 0.5),
    "sequence": lj.cells.variational_dropout(lj.RNN, input_rate=0.5),
    "both": lj.zoneout(lj.cells.variational_dropout(lj.RNN, input_rate=0.5), 0.5),
}


@pytest.mark.parametrize("per", NOISY)
def test_an_update_of_a_noisy_cell_goes_down_the_gradient_under_its_noise(per, key):
    cell, optimizer = NOISY[per], momentum()
    start = init_train_state(key, cell, SIGNS, optimizer, hidden_size=2)
    step = loop.step_function(cell, SIGNS, optimizer, **STEPS)
    after, history = jax.jit(step)(start)
    following, key_batch, key_noise = jax.random.split(start.key, 3)
    batch = SIGNS.sample(key_batch, *STEPS.values())

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def by_hand(params):
        keyed = lj.with_keys(key_noise, batch.inputs, per)
        _, ys = lj.unroll(cell, params.cell, keyed)
        outputs = ys[-1] @ params.readout.w + params.readout.b
        quiet = SIGNS.loss(predict(cell, SIGNS, params, batch), batch)
        return SIGNS.loss(outputs, batch), quiet

    (loss, quiet), gradient = by_hand(start.params)
    wanted = jax.tree.map(lambda p, g: p - 0.1 * g, start.params, gradient)
    jax.tree.map(partial(assert_allclose, atol=1e-6), after.params, wanted)
    assert_allclose(history.loss, loss, rtol=1e-6)
    assert abs(loss - quiet) > 1e-4
    assert after.key == following


@pytest.mark.parametrize("per", NOISY)
def test_a_noisy_cell_is_evaluated_without_its_noise(per, key):
    params = small_start(key, momentum()).params
    found, wanted = (
        lj.evaluate(key, cell, SIGNS, params, batch_size=5, length=4)
        for cell in (NOISY[per], lj.RNN)
    )
    jax.tree.map(assert_array_equal, found, wanted)


def test_noise_is_refused_where_there_is_none_and_where_devices_would_share_it(key):
    params = small_start(key, momentum()).params
    with pytest.raises(ValueError, match="key: it was given, but 'rnn' draws nothing"):
        predict(lj.RNN, SIGNS, params, SIGNS.sample(key, 2, 4), key)
    mesh = jax.make_mesh((1,), ("data",))
    with pytest.raises(ValueError, match=r"cell: got 'zoneout\(rnn\)'; it must be one"):
        sharding.predict_over(mesh, NOISY["step"])


# ---------------------------------------------------------------------------
# Many runs
# ---------------------------------------------------------------------------

MANY: dict[str, Any] = {"hidden_size": 2, "num_steps": 3, "batch_size": 3, "length": 4}


def test_many_runs_are_the_single_ones_and_one_that_diverges_is_alone(key):
    keys = jax.random.split(key, 4)
    rates, gains = jnp.array([0.1, 1e30, 0.1, 0.3]), jnp.array([0.5, 1.0, 1.0, 2.0])

    @jax.jit
    def many(keys, rates, gains):
        return train_many(
            keys,
            lj.RNN,
            SIGNS,
            optax.adam,
            hyperparams={"learning_rate": rates, "b1": 0.8},
            init_options={"gain": gains, "dtype": jnp.float32},
            **MANY,
        )

    @jax.jit
    def single(key, rate, gain):
        optimizer = optax.adam(rate, b1=0.8)
        options = {"gain": gain, "dtype": jnp.float32}
        return lj.train(key, lj.RNN, SIGNS, optimizer, init_options=options, **MANY)

    states, histories = many(keys, rates, gains)
    assert_array_equal(states.diverged_at, [-1, 2, -1, -1])
    assert_array_equal(states.step, [3, 1, 3, 3])
    assert histories.loss.shape == (4, 3)
    for n in range(4):
        state, history = single(keys[n], rates[n], gains[n])
        found = jax.tree.map(lambda leaf, n=n: leaf[n], (states.params, histories))
        close = partial(assert_allclose, rtol=1e-4, atol=1e-6)
        jax.tree.map(close, found, (state.params, history))


DIVIDES = "it must be a whole number that divides 3, the runs of a device"
# As outside the tests, where no type checker stands before the function.
unchecked_train_many = inspect.unwrap(train_many)


@pytest.mark.parametrize(
    ("axes", "at_once", "told"),
    [
        (None, 0, f"runs_at_once: got 0; {DIVIDES}"),
        (None, 2, f"runs_at_once: got 2; {DIVIDES}"),
        (None, 1.0, f"runs_at_once: got 1.0; {DIVIDES}"),
        (None, "1", f"runs_at_once: got '1'; {DIVIDES}"),
        ((2, 1), None, "keys: got 3; it must be a multiple of 2, the devices along"),
        ((1, 2), 1, r"mesh: got \{'seed': 1, 'data': 2\}; it must have all devices"),
    ],
)
def test_runs_that_can_not_be_cut_into_equal_parts_are_refused(
    axes, at_once, told, key
):
    mesh = None
    if axes is not None:  # of one device twice: it is refused before it is used
        devices = np.array(jax.devices()[:1] * 2).reshape(axes)
        mesh = jax.sharding.Mesh(devices, ("seed", "data"))
    with pytest.raises(ValueError, match=told):
        unchecked_train_many(
            jax.random.split(key, 3),
            lj.RNN,
            SIGNS,
            optax.adam,
            hyperparams={"learning_rate": 0.1},
            mesh=mesh,
            runs_at_once=at_once,
            **MANY,
        )


@pytest.mark.parametrize(
    ("rates", "told"),
    [
        (jnp.ones(2), "its first axis is 2; it must be 3"),
        ([1e-3, 1e-2, 0.1], r"got the list \[0.001, 0.01, 0.1\]; it must be an array"),
    ],
)
def test_a_setting_without_one_entry_per_run_is_refused(rates, told, key):
    with pytest.raises(ValueError, match=r"hyperparams\['learning_rate'\]: " + told):
        train_many(
            jax.random.split(key, 3),
            lj.RNN,
            SIGNS,
            optax.adam,
            hyperparams={"learning_rate": rates},
            **MANY,
        )


def test_one_key_for_all_runs_is_refused(key):
    told = r"keys: shape is \(\); it must be \(run,\), one key per run, as jax\.random"
    with pytest.raises(ValueError, match=told):
        unchecked_train_many(
            key, lj.RNN, SIGNS, optax.adam, hyperparams={"learning_rate": 0.1}, **MANY
        )


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_the_interval_of_a_success_rate_is_wilsons(confidence):
    counts = [(0, 1), (1, 1), (0, 5), (4, 5), (5, 5), (37, 100), (999, 1000)]
    successes, runs = np.array(counts).T
    found = success_rate(successes, runs, confidence)
    for n, (k, of) in enumerate(counts):
        interval = binomtest(k, of).proportion_ci(confidence, method="wilson")
        assert_allclose([found.low[n], found.high[n]], interval, atol=1e-12)
        assert found.rate[n] == k / of


@pytest.mark.parametrize("values", [(2, 1), (-1, 3), (0, 0), (1, 2, 1.0)])
def test_counts_that_can_not_be_are_refused(values):
    with pytest.raises(ValueError, match=r"^(successes|num_runs|confidence): got"):
        success_rate(*values)


# ---------------------------------------------------------------------------
# On the nature show
# ---------------------------------------------------------------------------

SHOW = lj.tasks.nature_show("vectors")


@pytest.fixture(scope="module")
def held_out():
    """A batch that training never draws."""
    return jax.jit(SHOW.sample_test, static_argnums=(1, 2))(jax.random.key(1), 500, 5)


def test_an_untrained_model_is_no_better_than_three_equal_chances(key, held_out):
    @jax.jit
    @jax.vmap
    def loss_of(key):
        state = init_train_state(key, lj.LSTM, SHOW, momentum(), hidden_size=HIDDEN)
        return SHOW.loss(predict(lj.LSTM, SHOW, state.params, held_out), held_out)

    losses = loss_of(jax.random.split(key, 20))
    assert abs(np.mean(losses) - np.log(3)) < 0.15


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


@pytest.mark.parametrize("rendering", ["digits", "vectors"])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float64])
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
