"""Reber strings: their lengths, their stream, and what their long memory is worth."""

import re
from functools import cache

import jax
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from tasks.batches import (
    LENGTH,
    MANY,
    MAX_LENGTH,
    STRING,
    TASKS,
    fitted_loss,
    jitted_scores,
    legal_outputs,
    many,
    symbols_in,
)

import lstm_jax as lj
from lstm_jax.tasks import (
    grammar,
)
from lstm_jax.tasks.embedded_reber import (
    ALPHABET,
    CONTINUAL,
    EMBEDDED,
    is_outer,
    symbols_of,
)

LN2 = np.log(2)


# ---------------------------------------------------------------------------
# The answers follow from the inputs, by the story that the docstring tells
# ---------------------------------------------------------------------------


REBER_LETTERS = ALPHABET


# ---------------------------------------------------------------------------
# Distributions
# ---------------------------------------------------------------------------


def test_embedded_reber_strings_have_12_symbols_on_average_and_at_least_9():
    strings = drawn_strings()
    lengths = np.asarray(strings.lengths) + 1
    assert lengths.min() == 9
    # The standard deviation is 3.6.
    assert_allclose(lengths.mean(), 12, atol=5 * 3.6 / np.sqrt(MANY))
    limited = np.asarray(many("embedded_reber").lengths)
    assert limited.max() == LENGTH


@cache
def drawn_strings():
    sample = jax.jit(lj.TASKS["embedded_reber"].sample, static_argnums=(1, 2))
    return sample(jax.random.key(2), MANY, 79)


def test_the_stream_of_reber_strings_never_stops():
    batch = many("continual_embedded_reber")
    read = symbols_in(REBER_LETTERS)
    for k in range(100):
        shown = read(np.asarray(batch.inputs)[:LENGTH, k])
        asked = REBER_LETTERS[int(batch.targets[LENGTH - 1, k])]
        begun = re.match(f"{STRING}*", shown + asked)
        assert begun is not None
        # The rest is the beginning of a string: one of them continues it.
        rest = (shown + asked)[begun.end() :]
        assert len(rest) < 9 or rest[:2] in ("BT", "BP")
        assert len(shown) == LENGTH
    assert_array_equal(np.asarray(batch.weights)[:LENGTH], 1)


def test_outer_symbols_are_those_before_the_last_e():
    batch = many("embedded_reber")
    wanted = np.arange(MAX_LENGTH)[:, None] == np.asarray(batch.lengths) - 2
    assert_array_equal(is_outer(batch), wanted)


# ---------------------------------------------------------------------------
# Floors and plateaus: predictors that are told a part, fitted on a large sample
# ---------------------------------------------------------------------------


def test_the_long_memory_of_a_reber_string_is_worth_ln_2():
    batch = drawn_strings()
    states = grammar.states_after(EMBEDDED, symbols_of(batch))
    task, states = TASKS["embedded_reber"], np.asarray(states)
    forgetful = np.where((states >= 10) & (states < 18), states - 8, states)
    all_known = fitted_loss("embedded_reber", states, batch)
    without = fitted_loss("embedded_reber", forgetful, batch)
    assert_allclose(all_known, 7 * LN2 / 11, rtol=0.005)
    assert_allclose(without, 8 * LN2 / 11, rtol=0.005)
    per_string = 11 * np.array(list(task.plateaus(400).values()))
    assert_allclose(per_string, [5.545177, 4.852030], atol=1e-6)


def test_who_knows_the_grammar_sits_on_the_plateaus_of_the_stream():
    batch = many("continual_embedded_reber")
    states = np.asarray(grammar.states_after(CONTINUAL, symbols_of(batch)))
    forgetful = np.where((states >= 10) & (states < 18), states - 8, states)
    wanted = TASKS["continual_embedded_reber"].plateaus(LENGTH).values()
    found = [fitted_loss("continual_embedded_reber", known)
             for known in (forgetful, states)]  # fmt: skip
    assert_allclose(found, list(wanted), rtol=0.01)


# ---------------------------------------------------------------------------
# Criteria and scores
# ---------------------------------------------------------------------------


def test_a_reber_string_is_wrong_when_a_legal_symbol_is_too_weak():
    outputs, batch = legal_outputs("embedded_reber"), many("embedded_reber")
    # After B T B both T and P are legal.
    weak = outputs.at[2, 0, REBER_LETTERS.index("P")].set(-51.0)
    _, accuracy, correct = jitted_scores("embedded_reber")(weak, batch)
    assert_array_equal(np.flatnonzero(~np.asarray(correct)), [0])
    assert accuracy == 1
