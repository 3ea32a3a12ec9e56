"""Counting, asked for the legal symbols: levels, scores, and who counts."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import lstm_jax as lj
from lstm_jax.tasks.counting import strings

LEGAL = {
    letters: lj.tasks.counting(letters, predict="legal") for letters in (2, 3)
}  # fmt: skip


def drawn(letters, n, length):
    """As one program, and as NumPy arrays."""
    draw = lambda n: strings(letters, n, length, predict="legal")
    return jax.tree.map(np.asarray, jax.jit(draw)(np.asarray(n, np.int32)))


def entropy(p):
    return -p * np.log(p) - (1 - p) * np.log(1 - p) if 0 < p < 1 else 0.0


def test_all_legal_symbols_are_asked_for_and_no_others():
    batch = drawn(3, [2, 1], 8)
    asked = [["abcT"[k] for k in np.flatnonzero(row)] for row in batch.targets[:, 0]]
    assert ["".join(row) for row in asked] == ["a", "ab", "ab", "b", "c", "c", "T", ""]
    assert_array_equal(batch.lengths, [7, 4])
    assert not batch.targets[4:, 1].any()


@pytest.mark.slow
@pytest.mark.parametrize("letters", LEGAL)
def test_the_floor_is_the_least_loss_of_who_sees_the_current_symbol(letters):
    length = 5 * letters + 1
    batch = drawn(letters, range(1, 6), length)
    shown = np.argmax(batch.inputs, -1)
    counts = np.asarray(batch.weights) > 0
    least = 0.0
    for symbol in range(letters + 1):
        asked = np.asarray(batch.targets, np.float64)[(shown == symbol) & counts]
        least += len(asked) * sum(entropy(p) for p in asked.mean(0))
    task = LEGAL[letters]
    assert_allclose(task.floor(length), least / counts.sum(), rtol=1e-12)
    assert task.plateaus(length) == {}
    sure = 50.0 * (2 * batch.targets - 1)
    assert task.loss(sure, batch) < 1e-20
    assert_allclose(task.loss(0 * sure, batch), (letters + 1) * np.log(2), rtol=1e-6)


def test_a_single_wrong_unit_spoils_a_string():
    batch = drawn(2, [3, 3], 7)
    wrong = np.asarray(2 * batch.targets - 1, np.float32)
    wrong[2, 0, 2] = 0.1

    @jax.jit
    def scores(outputs):
        assert LEGAL[2].correct is not None
        return LEGAL[2].correct(outputs, batch), LEGAL[2].accuracy(outputs, batch)

    correct, accuracy = scores(wrong)
    assert_array_equal(correct, [False, True])
    assert accuracy == 0.5


def test_samples_are_those_of_the_next_symbol(key):
    tasks = LEGAL[2], lj.TASKS["anbn"]
    draw = jax.jit(lambda key: [task.sample(key, 6, 21).inputs for task in tasks])
    assert_array_equal(*draw(key))
    assert lj.tasks.counting(2) == lj.tasks.ANBN


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_letters": 4}, "num_letters: got 4; it must be 2 or 3"),
        ({"predict": "all"}, "predict: got 'all'; allowed: next, legal"),
    ],
)
def test_what_is_not_there_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        lj.tasks.counting(**arguments)
