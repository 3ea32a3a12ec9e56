"""Floors and plateaus: predictors that are told a part, fitted on a large sample."""

from functools import cache
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import slow_but
from tasks.batches import (
    LENGTH,
    MANY,
    MAX_LENGTH,
    TASKS,
    fitted_loss,
    is_last,
    jitted_sampler,
    jitted_scores,
    many,
)

import lstm_jax as lj
from lstm_jax.tasks import (
    adding_1997,
)
from lstm_jax.tasks.copy_memory import is_recall
from lstm_jax.tasks.two_sequence import two_sequence

LN2 = np.log(2)


def regressed_loss(name, *known):
    """The mean squared error of the best linear predictor from numbers (batch,)."""
    batch = many(name)
    features = np.stack([np.ones(MANY), *known], axis=-1)
    targets = np.asarray(batch.targets, np.float64).reshape(MANY, -1)[:, 0]
    weights, *_ = np.linalg.lstsq(features, targets, rcond=None)
    outputs = (features @ weights).astype(np.float32)[:, None]
    return jitted_scores(name)(outputs, batch).loss


def current(name):
    """The symbol at each answer: now, or at the last step."""
    batch = many(name)
    symbols = np.argmax(batch.inputs, -1)
    if is_last(name):
        return symbols[np.asarray(batch.lengths) - 1, np.arange(MANY)]
    return symbols


def one_number(symbols):
    """Several small numbers as one."""
    return sum(100**k * np.asarray(one, np.int64) for k, one in enumerate(symbols))


def step():
    return np.arange(MAX_LENGTH)[:, None]


def at_last(name):
    return step() == np.asarray(many(name).lengths) - 1


NUMBERS = ["adding", "adding_1997", "multiplication", "two_sequence_3a",
           "two_sequence_3b", "two_sequence_3c", "latch"]  # fmt: skip
BY_CURRENT_SYMBOL = ["temporal_order", "temporal_order_3", "temporal_order_pascanu",
                     "long_time_lag_2a", "long_time_lag_2b", "long_time_lag_2c",
                     "embedded_reber", "continual_embedded_reber", "parity",
                     "even_pairs", "cycle_navigation", "modular_arithmetic", "majority",
                     "anbn", "anbncn"]  # fmt: skip


@pytest.mark.parametrize(
    "name", slow_but(["adding", "adding_1997", "two_sequence_3c", "latch"], NUMBERS)
)
def test_who_answers_with_the_mean_loses_the_floor(name):
    assert_allclose(regressed_loss(name), TASKS[name].floor(LENGTH), rtol=0.05)


@pytest.mark.parametrize(
    "name", slow_but(["temporal_order", "parity"], BY_CURRENT_SYMBOL)
)
def test_who_sees_the_current_symbol_alone_loses_the_floor(name):
    floor = TASKS[name].floor(LENGTH)
    assert_allclose(fitted_loss(name, current(name)), floor, rtol=0.01)


def test_who_sees_the_current_bit_alone_loses_the_floor_of_delayed_xor():
    bits = np.asarray(many("delayed_xor").inputs)[..., 0].astype(int)
    assert_allclose(fitted_loss("delayed_xor", bits), LN2, rtol=1e-3)
    assert TASKS["delayed_xor"].floor(100) == LN2


@pytest.mark.parametrize(
    "name", slow_but(["copy_memory"], ["copy_memory", "copy_memory_variable"])
)
def test_who_knows_when_but_not_what_loses_the_floor_of_copy(name):
    recall = is_recall(many(name), 10)
    assert_allclose(fitted_loss(name, recall), TASKS[name].floor(LENGTH), rtol=0.005)


def test_who_knows_one_symbol_of_an_induction_sits_on_the_plateau():
    name, task = "induction_head", TASKS["induction_head"]
    batch = jitted_sampler(name)(jax.random.key(0), 20_000, 4)
    shown = np.argmax(batch.inputs, -1)
    assert_allclose(fitted_loss(name, 0, batch), task.floor(4), rtol=0.01)
    plateau = task.plateaus(4)["the last symbol"]
    assert_allclose(fitted_loss(name, shown[2], batch), plateau, rtol=0.03)


def test_who_knows_some_of_the_first_n_sits_on_a_plateau_of_keep_nth():
    """Which of the first three is kept is drawn apart from the text."""
    task = lj.tasks.keep_nth(3, 6)
    batch = jax.jit(task.sample, static_argnums=(1, 2))(jax.random.key(0), 20_000, 5)
    first = np.argmax(batch.inputs, -1)[:3]
    kept = first[np.random.default_rng(0).integers(3, size=20_000), np.arange(20_000)]
    plateaus = {"one of the first n": kept, "the first n, no order": one_number(
        np.sort(first, axis=0))}  # fmt: skip
    assert_allclose(fitted_loss("keep_nth", 0, batch), task.floor(5), rtol=0.01)
    for level, known in plateaus.items():
        found = fitted_loss("keep_nth", known, batch)
        assert_allclose(found, task.plateaus(5)[level], rtol=0.02)


def test_who_knows_a_part_of_a_hop_sits_on_its_plateau():
    task = TASKS["k_hop"]
    shown = current("k_hop")
    one_hop = np.full_like(shown, 4)
    for before, t in combinations(range(MAX_LENGTH), 2):
        again = shown[before] == shown[t]
        one_hop[t] = np.where(again, shown[before + 1], one_hop[t])
    where = np.broadcast_to(step(), shown.shape)
    levels = {"which step": (where, shown), "one hop less": (where, shown, one_hop)}
    assert_allclose(fitted_loss("k_hop", shown), task.floor(LENGTH), rtol=0.01)
    for level, known in levels.items():
        found = fitted_loss("k_hop", one_number(known))
        assert_allclose(found, task.plateaus(LENGTH)[level], rtol=0.02)


def test_who_counts_a_part_of_the_bits_sits_on_a_plateau_of_majority():
    task, ones = TASKS["majority"], np.asarray(many("majority").inputs)[..., 1]
    seen = {"the last two": 2, "the last half": 11, "all bits but one": 21}
    for level, bits in seen.items():
        found = fitted_loss("majority", ones[LENGTH - bits : LENGTH].sum(0))
        assert_allclose(found, task.plateaus(LENGTH)[level], rtol=0.05)


@pytest.mark.parametrize("name", ["bucket_sort", "reverse_string"])
def test_who_knows_a_symbol_of_a_string_sits_on_a_plateau(name):
    many = LENGTH // 2
    *_, second, last = current(name)[:many]
    marker = step() - many
    levels = {
        "bucket_sort": {"which step": marker, "one symbol": 100 * marker + last},
        "reverse_string": {
            "the last one": np.where(marker, 2, last),
            "the last two": np.select(
                [marker == 0, marker == 1], [last, 2 + second], 4
            ),
        },
    }[name]
    assert_allclose(fitted_loss(name, 0), TASKS[name].floor(LENGTH), rtol=0.001)
    assert list(levels) == list(TASKS[name].plateaus(LENGTH))
    for level, wanted in TASKS[name].plateaus(LENGTH).items():
        assert_allclose(fitted_loss(name, levels[level]), wanted, rtol=0.02)


def test_who_knows_a_part_of_an_expression_sits_on_its_plateau():
    name, task = "modular_arithmetic_brackets", TASKS["modular_arithmetic_brackets"]
    batch = jitted_sampler(name)(jax.random.key(0), 20_000, 7, 7)
    shown = np.argmax(batch.inputs, -1)
    first = np.argmax(shown < 5, axis=0)
    but_the_first = np.where(step()[:7] == first, 10, shown)
    levels = {"the last two": shown[-2:], "all numbers but the first": but_the_first}
    assert_allclose(fitted_loss(name, 0, batch), task.floor(7), rtol=0.01)
    for level, known in levels.items():
        found = fitted_loss(name, one_number(known), batch)
        assert_allclose(found, task.plateaus(7)[level], rtol=0.01)


def test_who_knows_the_last_slot_of_noisy_recall_sits_on_the_plateau():
    name, task = "noisy_recall", TASKS["noisy_recall"]
    batch = jitted_sampler(name)(jax.random.key(0), 20_000, 8)
    shown = np.argmax(batch.inputs, -1)
    assert_allclose(fitted_loss(name, shown[7], batch), task.floor(8), rtol=0.01)
    known = np.where(shown[4] == shown[7], 1 + shown[5], 0)
    plateau = task.plateaus(8)["the last slot"]
    assert_allclose(fitted_loss(name, known, batch), plateau, rtol=0.03)


def test_the_floors_of_copy_are_the_published_ones():
    for delay, wanted in {
        100: 0.173287, 200: 0.094520, 300: 0.064983, 500: 0.039989, 1000: 0.020387,
        2000: 0.010294,
    }.items():  # fmt: skip
        assert_allclose(lj.TASKS["copy_memory"].floor(delay + 20), wanted, atol=5e-7)


def test_the_floor_of_a_text_is_what_the_last_character_tells():
    task = TASKS["character_language"]
    symbols = np.argmax(many("character_language").inputs, -1)
    loss = fitted_loss("character_language", symbols)
    assert_allclose(loss, task.floor(LENGTH), rtol=0.03)
    blind = fitted_loss("character_language", 0)
    plateau = task.plateaus(LENGTH)["frequencies only"]
    assert_allclose(blind, plateau, rtol=0.03)


def first_marked(name):
    """The number that is marked first."""
    inputs = np.asarray(many(name).inputs)
    where = (inputs[..., 1] == 1).argmax(0)
    return inputs[where, np.arange(MANY), 0]


def test_who_knows_one_of_two_numbers_sits_on_one_twelfth():
    loss = regressed_loss("adding", first_marked("adding"))
    plateaus = TASKS["adding"].plateaus(LENGTH)
    assert plateaus == {"one of two numbers": 1 / 12}
    assert_allclose(loss, 1 / 12, rtol=0.05)


@pytest.mark.parametrize(
    "name", slow_but(["adding_1997"], ["adding_1997", "multiplication"])
)
def test_who_knows_x1_sits_on_the_plateau_of_1997(name):
    first, second = marked_steps()
    numbers = np.asarray(many(name).inputs)[..., 0]
    x1 = numbers[first, np.arange(MANY)]
    is_neutral = first == 0
    (plateau,) = TASKS[name].plateaus(LENGTH).values()
    assert_allclose(regressed_loss(name, x1, is_neutral), plateau, rtol=0.05)
    assert not np.any(first == second)


@cache
def marked_steps():
    """Which steps the marks of `many` are at: what a sequence does not tell."""
    _, key_marks, _ = jax.random.split(jax.random.key(0), 3)
    length = jnp.asarray(LENGTH, jnp.int32)
    return [np.asarray(s) for s in adding_1997.marked_steps(key_marks, MANY, length)]


def test_numbers_that_are_never_neutral_have_the_floors_of_the_books(monkeypatch):
    monkeypatch.setattr(adding_1997, "chances_of_neutral", lambda length: (0.0, 0.0))
    assert_allclose(adding_1997.sum_floor(110), 1 / 24)
    assert_allclose(adding_1997.product_floor(110), 7 / 144)
    for plateaus, wanted in (
        (adding_1997.sum_plateaus, 1 / 48),
        (adding_1997.product_plateaus, 1 / 36),
    ):
        assert_allclose(list(plateaus(110).values()), wanted)


@pytest.mark.parametrize(
    ("name", "known"),
    slow_but(
        [("temporal_order", 1)],
        [
            ("temporal_order", 1),
            ("temporal_order_3", 1),
            ("temporal_order_3", 2),
            ("temporal_order_pascanu", 1),
        ],
    ),
)
def test_who_knows_some_of_the_symbols_sits_on_a_plateau(name, known):
    num_symbols = 3 if name.endswith("3") else 2
    told = np.asarray(many(name).targets) // 2 ** (num_symbols - known)
    plateau = TASKS[name].plateaus(LENGTH)[f"{known} of {num_symbols} symbols"]
    assert_allclose(plateau, (num_symbols - known) * LN2)
    assert_allclose(TASKS[name].floor(LENGTH), num_symbols * LN2)
    assert_allclose(fitted_loss(name, told), plateau, rtol=0.01)


def test_who_foresees_the_end_of_2b_sits_on_the_plateau():
    name, symbols = "long_time_lag_2b", np.argmax(many("long_time_lag_2b").inputs, -1)
    plateaus = TASKS[name].plateaus(LENGTH)
    end = fitted_loss(name, at_last(name))
    assert_allclose(end, plateaus["which step is the last"], rtol=1e-3)
    everything = fitted_loss(name, np.where(at_last(name), 1 + symbols[0], 0))
    assert_allclose(everything, plateaus["everything"], rtol=1e-3)
    assert_allclose(plateaus["everything"], 21 / 22 * np.log(11))


def test_the_best_of_3b_and_3c_is_the_conditional_mean():
    batch = many("two_sequence_3b")
    read = np.asarray(batch.inputs)
    sigmoid = lambda z: (1 / (1 + np.exp(-z))).astype(np.float32)
    guess = sigmoid(2 * read[:3, :, 0].sum(0) / 0.2)[:, None]
    loss = jitted_scores("two_sequence_3b")(guess, batch).loss
    best = TASKS["two_sequence_3b"].plateaus(LENGTH)["everything"]
    assert 0 < best < 1e-4 and loss < 1e-3
    # With one number instead of three, errors are frequent enough to be counted.
    task = two_sequence("3b", num_informative=1)
    one = batch._replace(inputs=read[:1])
    guess = sigmoid(2 * read[0] / 0.2)
    best = task.plateaus(LENGTH)["everything"]
    assert_allclose(jax.jit(task.loss)(guess, one), best, rtol=0.3)
    _, known = np.asarray(many("two_sequence_3c").targets).T
    noisy = regressed_loss("two_sequence_3c", known)
    best = TASKS["two_sequence_3c"].plateaus(LENGTH)["everything"]
    assert_allclose(noisy, best, rtol=0.05)


@pytest.mark.parametrize("name", slow_but(["anbn"], ["anbn", "anbncn"]))
def test_who_counts_loses_ln_n_a_string(name):
    letters = 2 if name == "anbn" else 3
    n = (np.asarray(many(name).lengths) - 1) // letters
    largest = (LENGTH - 1) // letters
    # After the a, all is known; among the a, how many there were so far.
    known = np.where(step() <= n, step(), 1_000 * n + step())
    (plateau,) = TASKS[name].plateaus(LENGTH).values()
    assert_allclose(plateau, np.log(largest) / (1 + letters * (largest + 1) / 2))
    assert_allclose(fitted_loss(name, known), plateau, rtol=0.02)


def test_one_bit_of_an_xor_and_all_bits_but_one_of_a_parity_are_worth_nothing():
    bits = np.asarray(many("delayed_xor").inputs)[..., 0].astype(int)
    assert_allclose(fitted_loss("delayed_xor", np.roll(bits, 5, 0)), LN2, rtol=0.01)
    assert TASKS["delayed_xor"].plateaus(LENGTH) == {"one of two bits": LN2}
    ones = np.asarray(many("parity").inputs)[1:, :, 1].sum(0) % 2
    assert_allclose(fitted_loss("parity", ones), LN2, rtol=0.01)
    assert TASKS["parity"].plateaus(LENGTH) == {"all bits but one": LN2}
    assert lj.TASKS["parity"].floor(1) == lj.TASKS["even_pairs"].floor(1) == 0
