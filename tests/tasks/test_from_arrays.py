"""Tasks of stored data: what is drawn, what is refused, and data as arguments."""

import pickle
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lstm_jax as lj
from lstm_jax.data import Table
from lstm_jax.tasks import from_arrays, from_windows
from lstm_jax.training import runs

TIME, COUNT = 6, 20
# Every input tells its example and its step.
INPUTS = np.stack(
    np.broadcast_arrays(np.arange(COUNT) + 1.0, np.arange(TIME)[:, None] + 1.0), axis=-1
)
LABELS = np.arange(COUNT) % 3
HOW: dict[str, Any] = {"hidden_size": 3, "num_steps": 2, "batch_size": 4}


# As one program each.
sample, sample_test, loss = (
    jax.jit(lambda task, *given, name=name: getattr(task, name)(*given),
            static_argnums=range(2, n))
    for name, n in (("sample", 4), ("sample_test", 4), ("loss", 2))
)  # fmt: skip


def which(batch):
    return np.asarray(batch.inputs[0, :, 0]).astype(int) - 1


@pytest.mark.slow
def test_training_draws_the_first_examples_and_a_test_each_of_the_last_once():
    task = from_arrays(INPUTS, LABELS, loss="cross_entropy", test=0.25)
    drawn = task.sample(jax.random.key(0), 200, TIME)
    assert {*which(drawn)} == {*range(15)}
    held = task.sample_test(jax.random.key(0), 10, TIME)
    assert sorted(which(held)) == sorted([*range(15, 20)] * 2)
    for batch in (drawn, held):
        assert_array_equal(batch.inputs, INPUTS[:, which(batch)])
        assert_array_equal(batch.targets, LABELS[which(batch)])
        assert_array_equal(batch.lengths, TIME)
        assert_array_equal(batch.weights, 1)
    assert (task.input_size, task.output_size, task.answers) == (2, 3, "last_step")
    assert task.sample_test is not task.sample


def test_without_a_test_an_evaluation_draws_what_training_does():
    task = from_arrays(INPUTS, LABELS, loss="cross_entropy", test=0)
    drawn = sample_test(task, jax.random.key(0), 400, TIME)
    assert {*which(drawn)} == {*range(COUNT)}


def test_lengths_and_weights_are_those_of_the_example():
    lengths = np.arange(COUNT) % TIME + 1
    weights = np.arange(COUNT) % 2
    cases: Any = (("last_step", LABELS), ("every_step", INPUTS[..., 1]))
    for answers, targets in cases:
        every = answers == "every_step"
        of = np.broadcast_to(weights, (TIME, COUNT)) if every else weights
        task = from_arrays(
            INPUTS, targets, lengths=lengths, weights=of, answers=answers
        )
        batch = sample(task, jax.random.key(1), 50, TIME)
        k = which(batch)
        counts = np.arange(TIME)[:, None] < lengths[k]
        assert_array_equal(batch.lengths, lengths[k])
        assert_array_equal(batch.inputs, INPUTS[:, k] * counts[..., None])
        if every:
            assert_array_equal(batch.weights, weights[k] * counts)
            assert_array_equal(batch.targets, targets[:, k] * counts)
        else:
            assert_array_equal(batch.weights, weights[k])


@pytest.mark.parametrize("answers", ["last_step", "every_step"])
@pytest.mark.parametrize("outputs", [(), (2,)])
def test_the_floor_is_the_loss_of_the_best_constant(answers, outputs):
    random = np.random.default_rng(0)
    shape = (TIME, COUNT) if answers == "every_step" else (COUNT,)
    targets = random.normal(size=(*shape, *outputs))
    task = from_arrays(INPUTS, targets, answers=answers, test=0)
    best = targets.reshape(-1, *outputs).mean(0)
    constant = np.broadcast_to(best, (*shape, task.output_size)).astype(np.float32)

    @jax.jit
    def scores(task):
        batch = task.sample_test(jax.random.key(0), COUNT, TIME)
        return task.loss(constant, batch), task.accuracy(constant, batch)

    loss, accuracy = scores(task)
    assert_allclose(loss, task.floor(TIME), rtol=1e-5)
    assert 0 < accuracy < 1
    assert task.output_size == (outputs or (1,))[0]


def test_what_is_not_asked_for_may_be_anything():
    weights = np.arange(COUNT) % 2
    labels = np.where(weights, LABELS, -1)
    task = from_arrays(INPUTS, labels, weights=weights, loss="cross_entropy", test=0)
    assert task.output_size == 3 and np.isfinite(task.floor(TIME))
    numbers = np.where(weights, LABELS, np.nan)
    assert np.isfinite(from_arrays(INPUTS, numbers, weights=weights).floor(TIME))
    with pytest.raises(ValueError, match="weights: got 0 for every answer; one"):
        from_arrays(INPUTS, labels, weights=0 * weights)


def test_of_classes_the_floor_is_their_entropy():
    labels = np.array([0, 0, 0, 1] * 5)
    task = from_arrays(INPUTS, labels, loss="cross_entropy", test=0)
    assert_allclose(task.floor(TIME), -np.log([0.75] * 3 + [0.25]).mean())


REFUSED = {
    "inputs, examples first": (
        {"inputs": INPUTS.swapaxes(0, 1)},
        "inputs: shape is (20, 6, 2), by the targets with the examples first; it must "
        "be (time, example, input): inputs.swapaxes(0, 1)",
    ),
    "inputs, examples first by the lengths": (
        {
            "inputs": INPUTS.swapaxes(0, 1),
            "targets": np.zeros((20, 6)),
            "answers": "every_step",
            "lengths": np.full(20, 6),
        },
        "inputs: shape is (20, 6, 2), by the lengths with the examples first",
    ),
    "targets, examples first": (
        {"targets": np.zeros((20, 6)), "answers": "every_step"},
        "targets: shape is (20, 6), by the inputs with the examples first; it must be "
        "(time, example, ...): targets.swapaxes(0, 1)",
    ),
    "two axes": ({"inputs": INPUTS[0]}, "inputs: shape is (20, 2); it must be (time"),
    "other targets": (
        {"targets": np.zeros(7)},
        "targets: shape is (7,); it must be (20,) or (20, output), for inputs of shape "
        "(6, 20, 2), (time, example, input)",
    ),
    "numbers as classes": (
        {"targets": LABELS / 2, "loss": "cross_entropy"},
        "targets: got float64 from 0; they must be classes 0, 1, 2, ..., integers",
    ),
    "classes below 0": (
        {"targets": LABELS - 1, "loss": "cross_entropy"},
        "targets: got int64 from -1; they must be classes",
    ),
    "text": ({"targets": np.full(20, "a")}, "targets: dtype is <U1; it must be real"),
    "a length of 0": (
        {"lengths": np.zeros(20, int)},
        "lengths: found 0; each must be in [1, 6], the time axis of inputs",
    ),
    "lengths of numbers": ({"lengths": np.ones(20)}, "lengths: dtype is float64; it"),
    "weights": (
        {"weights": np.ones((6, 20))},
        "weights: shape is (6, 20); it must be (20,), one for each answer",
    ),
    "no training": (
        {"test": 0.99},
        "test: got 0.99, 20 of 20; it must leave at least 1 on either side",
    ),
    "all of it": ({"test": 1}, "test: got 1; it must be in [0, 1)"),
    "not a number": (
        {"inputs": np.where(INPUTS == 3, np.nan, INPUTS)},
        "inputs: found nan at step 0, example 2, input 0; they must be finite up to",
    ),
    "an infinite target": (
        {"targets": np.where(LABELS == 1, np.inf, LABELS)},
        "targets: found inf; they must be finite",
    ),
    "one target": (
        {"targets": np.full(20, 2)},
        "targets: all of training are 2; they must vary, for there is nothing else",
    ),
    "a loss": ({"loss": "hinge"}, "loss: got 'hinge'; allowed: squared_error, cross"),
    "answers": ({"answers": "always"}, "answers: got 'always'; allowed: last_step"),
}


def test_what_lies_beyond_a_length_need_not_be_a_number():
    lengths = np.full(COUNT, TIME - 1)
    padded = np.where(np.arange(TIME)[:, None, None] < TIME - 1, INPUTS, np.nan)
    task = from_arrays(padded, LABELS, lengths=lengths, loss="cross_entropy")
    batch = sample(task, jax.random.key(0), 4, TIME)
    assert_array_equal(np.asarray(batch.inputs)[-1], 0)


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(name):
    options, message = REFUSED[name]
    with pytest.raises((ValueError, TypeError)) as caught:
        from_arrays(**{"inputs": INPUTS, "targets": LABELS} | options)
    assert str(caught.value)[: len(message)] == message


def test_another_length_than_that_of_the_data_is_refused():
    task = from_arrays(INPUTS, LABELS, loss="cross_entropy")
    with pytest.raises(ValueError, match="max_length: got 5; it must be 6"):
        lj.train(jax.random.key(0), lj.RNN, task, optax.sgd(0.1), length=5, **HOW)


ROWS, WINDOW, HORIZON = 40, 5, 3
TABLE = Table(np.stack([np.arange(ROWS), -2.0 * np.arange(ROWS)], -1), ("a", "b"), ())


@pytest.mark.slow
def test_windows_are_those_of_the_table_and_none_crosses_into_the_test():
    task = from_windows(TABLE, "b", window=WINDOW, horizon=HORIZON, test=0.25)
    for sample, first, last in ((task.sample, 0, 30), (task.sample_test, 30, 40)):
        batch = sample(jax.random.key(0), 300, WINDOW)
        begins = np.asarray(batch.inputs[0, :, 0])
        assert {*begins} == {*range(first, last - WINDOW - HORIZON + 1)}
        rows = begins + np.arange(WINDOW)[:, None]
        assert_array_equal(batch.inputs, np.stack([rows, -2 * rows], -1))
        assert_array_equal(batch.targets[:, 0], -2 * (begins + WINDOW - 1 + HORIZON))
    assert (task.input_size, task.output_size) == (2, 1)
    several = from_windows(TABLE, ["b", "a"], window=WINDOW)
    batch = several.sample(jax.random.key(0), 3, WINDOW)
    assert_array_equal(batch.targets[:, 0], -2 * batch.targets[:, 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "c"}, "target: got 'c'; it must be in a, b"),
        ({"window": 0}, "window: got 0; it must be at least 1"),
        ({"horizon": 0}, "horizon: got 0; it must be at least 1"),
        (
            {"window": 8},
            "window: got 8 with a horizon of 1; together they must be at most 8, the "
            "steps of the test",
        ),
        (
            {"window": 40, "test": 0},
            "window: got 40 with a horizon of 1; together they must be at most 40, the "
            "steps of the training",
        ),
        (
            {"table": TABLE._replace(values=np.ones((40, 2)))},
            "target: column 'a' has one value at all 32 steps of the training; it must "
            "vary",
        ),
        ({"target": 0}, "target: got 0; it must be the name of a column"),
        ({"table": TABLE.values}, "table: got float64[40, 2]; it must be a table, as"),
        (
            {"table": TABLE._replace(values=np.zeros((4, 2, 2)))},
            "table: its shape is (4, 2, 2); it must be (time, column)",
        ),
    ],
)
def test_windows_that_do_not_fit_are_refused(options, message):
    given: dict[str, Any] = {"table": TABLE, "target": "a", "window": WINDOW} | options
    with pytest.raises((ValueError, TypeError)) as caught:
        from_windows(**given)
    assert str(caught.value)[: len(message)] == message


def test_levels_of_a_table_are_those_of_its_test_windows():
    task = from_windows(TABLE, "b", window=WINDOW, horizon=HORIZON, test=0.25)
    many = 10 - WINDOW - HORIZON + 1
    batch = sample_test(task, jax.random.key(0), many, WINDOW)
    mean = np.full(batch.targets.shape, -2 * np.arange(30).mean(), np.float32)
    assert_allclose(loss(task, mean, batch), task.floor(WINDOW), rtol=1e-5)
    last = np.asarray(batch.inputs)[-1, :, 1:]
    levels = task.plateaus(WINDOW)
    assert_allclose(loss(task, last, batch), levels["last value again"], rtol=1e-5)


@pytest.mark.parametrize("test", [0, 0.2])
def test_only_a_task_of_stored_data_has_leaves(test):
    task = from_arrays(INPUTS, LABELS, loss="cross_entropy", test=test)
    leaves = jax.tree.leaves(task)
    assert len(leaves) == 8
    different = {id(leaf): leaf.size for leaf in leaves}
    assert sum(different.values()) == INPUTS.size + 3 * COUNT
    again = jax.tree.map(lambda leaf: leaf, task)
    assert jax.tree.structure(again) == jax.tree.structure(task)
    key = jax.random.key(2)
    wanted = jax.jit(lambda: task.sample(key, 3, TIME))()  # a constant
    for of in (task, again, pickle.loads(pickle.dumps(task))):
        jax.tree.map(assert_array_equal, sample(of, key, 3, TIME), wanted)
    for other in lj.TASKS.values():
        assert jax.tree.leaves(other) == []
        assert jax.tree.map(lambda leaf: leaf, other) == other


@pytest.mark.parametrize(
    "examples", [200_000, pytest.param(16_000_000, marks=pytest.mark.slow)]
)
def test_large_data_are_an_argument_of_the_compiled_program_and_no_constant(examples):
    inputs = np.zeros((16, examples, 1), np.float32)  # 13 MB, or 1 GB
    task = from_arrays(inputs, np.arange(examples) / examples)
    options: dict[str, Any] = HOW | {"length": 16}
    keys = jax.random.split(jax.random.key(0), 2)

    def trained(task):
        return lj.train(keys[0], lj.RNN, task, optax.sgd(0.1), **options)

    def side_by_side(task):
        return lj.train_many(
            keys, lj.RNN, task, optax.sgd, hyperparams={"learning_rate": 0.1}, **options
        )

    def evaluated(task, params):
        return lj.evaluate(keys[0], lj.RNN, task, params, batch_size=4, length=16)

    state, _ = jax.eval_shape(trained, task)
    for function, *params in (trained,), (side_by_side,), (evaluated, state.params):
        text = jax.jit(function).lower(task, *params).as_text()
        lines = [line for line in text.splitlines() if f"<16x{examples}x1xf32>" in line]
        assert any("@main(" in line for line in lines)
        assert not any("constant" in line for line in lines)
    program = runs.program(runs.Recipe(lj.RNN, task, optax.sgd, 3, 4, 16))
    settings = runs.Settings({"learning_rate": jnp.array([0.1, 0.2])})
    of = jax.make_jaxpr(program.steps)(program.begin(keys, settings), settings, 2)
    (compiled,) = (e for e in of.eqns if "jaxpr" in e.params)
    assert any(np.shape(v.aval) == inputs.shape for v in compiled.invars)
    assert sum(np.size(const) for const in compiled.params["jaxpr"].consts) < 1000


GIGABYTE = """
import jax, numpy as np, optax
import lstm_jax as lj
inputs = np.ones((64, 3_906_250, 1), np.float32)
task = lj.tasks.from_arrays(inputs, np.linspace(0, 1, 3_906_250, dtype=np.float32))
how = {"batch_size": 32, "length": 64}
state, history = lj.train(
    jax.random.key(0), lj.RNN, task, optax.sgd(0.1), hidden_size=4, num_steps=20, **how
)
print(float(history.loss[-1]))
(peak,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak.split()[1])
"""


@pytest.mark.slow
def test_a_gigabyte_of_data_needs_less_than_two_and_a_half():
    told = subprocess.run(
        [sys.executable, "-c", GIGABYTE], capture_output=True, text=True, check=True
    )
    loss, peak = map(float, told.stdout.split())
    assert np.isfinite(loss) and peak * 1024 < 2.5e9


@pytest.mark.slow
def test_the_validation_part_lies_between_training_and_test(key):
    inputs = jnp.arange(10.0)[None, :, None]
    task = lj.tasks.from_arrays(inputs, inputs[0], test=0.2, valid=0.25)
    table = lj.data.Table(np.arange(40.0)[:, None], ("x",), ())
    windows = lj.tasks.from_windows(table, "x", window=2, test=0.25, valid=0.5)
    text = "".join(map(chr, range(65, 95)))
    language = lj.tasks.character_language(text, 0.2, valid=0.25)
    parts = ("sample", "sample_valid", "sample_test")
    for of_task, length, wanted in (
        (task, 1, [range(6), range(6, 8), range(8, 10)]),
        (windows, 2, [range(15), range(15, 30), range(30, 40)]),
        (language, 2, [range(18), range(18, 24), range(24, 30)]),
    ):
        for part, allowed in zip(parts, wanted, strict=True):
            batch = getattr(of_task, part)(key, 200, length)
            read = batch.inputs.argmax(-1) if of_task is language else batch.inputs
            seen = {*np.ravel(read).astype(int), *np.ravel(batch.targets).astype(int)}
            assert seen == {*allowed}
    assert lj.tasks.from_arrays(inputs, inputs[0]).sample_valid is None
    assert lj.tasks.ADDING.sample_valid is lj.tasks.ADDING.sample
    with pytest.raises(ValueError, match=r"valid: got 0\.05, 0 of the 8 before"):
        lj.tasks.from_arrays(inputs, inputs[0], valid=0.05)
