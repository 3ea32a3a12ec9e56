"""The answers follow from the inputs, by the story that each docstring tells."""

import inspect
from typing import Any

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import slow_but
from tasks.answering import (
    ANSWERS,
    answer_adding,
    answer_arithmetic,
    answer_brackets,
    answer_copy,
    answer_counting,
    answer_delayed_xor,
    answer_embedded_reber,
    answer_flip_flop,
    answer_induction_head,
    answer_k_hop,
    answer_long_time_lag,
    answer_long_time_lag_2a,
    answer_long_time_lag_2c,
    answer_mqar,
    answer_noisy_recall,
    answer_selective_copy,
    answer_string,
    answer_temporal_order,
    answer_temporal_order_pascanu,
    answer_two_sequence,
    answer_words,
)
from tasks.batches import is_last, many

import lstm_jax as lj
from lstm_jax.tasks import (
    adding,
    adding_1997,
    bucket_sort,
    counting,
    cycle_navigation,
    even_pairs,
    flip_flop,
    induction_head,
    k_hop,
    keep_nth,
    long_time_lag,
    majority,
    modular_arithmetic,
    modular_arithmetic_brackets,
    noisy_recall,
    parity,
    reverse_string,
    temporal_order_pascanu,
)
from lstm_jax.tasks.character_language import character_language
from lstm_jax.tasks.copy_memory import copy_memory
from lstm_jax.tasks.delayed_xor import delayed_xor
from lstm_jax.tasks.embedded_reber import (
    ALPHABET,
    embedded_reber,
)
from lstm_jax.tasks.latch import latch
from lstm_jax.tasks.long_time_lag_2c import long_time_lag_2c
from lstm_jax.tasks.mqar import mqar
from lstm_jax.tasks.selective_copy import selective_copy
from lstm_jax.tasks.temporal_order import SYMBOLS, temporal_order
from lstm_jax.tasks.two_sequence import two_sequence
from lstm_jax.tasks.word_problem import word_problem


@pytest.mark.parametrize(
    "name", slow_but(["adding", "temporal_order", "copy_memory", "parity"], ANSWERS)
)
def test_the_answers_follow_from_the_inputs(name):
    batch = jax.tree.map(np.asarray, many(name))
    for k in range(300):
        wanted = ANSWERS[name](batch.inputs[: batch.lengths[k], k])
        found = batch.targets[..., k]
        if not is_last(name):
            found = found[: batch.lengths[k]]
        assert_allclose(found, wanted, atol=1e-6)


def one_hot(shown, alphabet):
    return np.eye(len(alphabet))[[alphabet.index(s) for s in shown]]


def marks_and(numbers, marks):
    return np.stack([numbers, marks], axis=-1)


REBER_LETTERS = ALPHABET
NUMBERS_1997 = [0.5, -0.25, 0.5, 1.0, 0.75, 0.0]
LAG_4 = ["a1", "a2", "a3", "x", "y"]
LAG_2C = ["a1", "a2", "a3", "b", "e", "x", "y"]
EXAMPLES: dict[str, tuple[Any, str, Any, Any]] = {
    "adding": (
        adding,
        "0    1     0     0    1    0        -> 0.25 + 0.5 = 0.75",
        answer_adding(marks_and([0.5, 0.25, 0.75, 1, 0.5, 0.125], [0, 1, 0, 0, 1, 0])),
        0.75,
    ),
    "adding_1997": (
        adding_1997,
        "-> 0.5 + (-0.25 + 0.5) / 4 = 0.5625",
        ANSWERS["adding_1997"](marks_and(NUMBERS_1997, [-1, 1, 1, 0, 0, -1])),
        0.5625,
    ),
    "multiplication": (
        adding_1997,
        "marks at steps 2 and 3: 0.5 * 1.0 = 0.5",
        ANSWERS["multiplication"](marks_and(NUMBERS_1997, [-1, 0, 1, 1, 0, -1])),
        0.5,
    ),
    "temporal_order": (
        temporal_order,
        "E a c X d b Y a B  -> XY, class 1",
        answer_temporal_order(one_hot("EacXdbYaB", SYMBOLS)),
        1,
    ),
    "temporal_order_pascanu": (
        temporal_order_pascanu,
        "L = 10:  c A e d f B d c c f  -> AB, class 1",
        answer_temporal_order_pascanu(
            one_hot("cAedfBdccf", temporal_order_pascanu.SYMBOLS)
        ),
        1,
    ),
    "long_time_lag_2a": (
        long_time_lag,
        "shown  y a1 a2 a3    asked  a1 a2 a3 y",
        answer_long_time_lag_2a(one_hot(["y", "a1", "a2", "a3"], LAG_4)),
        [0, 1, 2, 4],
    ),
    "long_time_lag_2b": (
        long_time_lag,
        "shown  x a3 a1 a3    asked  a3 a1 a3 x",
        answer_long_time_lag(one_hot(["x", "a3", "a1", "a3"], LAG_4)),
        [2, 0, 2, 3],
    ),
    "long_time_lag_2c": (
        long_time_lag_2c,
        "b y a3 a1 a1 e  -> y, class 1",
        answer_long_time_lag_2c(one_hot(["b", "y", "a3", "a1", "a1", "e"], LAG_2C)),
        1,
    ),
    "two_sequence_3a": (
        two_sequence,
        "1 1 1 0.3 -0.6 0.1 0.4  -> 1",
        answer_two_sequence(np.array([[1], [1], [1], [0.3], [-0.6], [0.1], [0.4]])),
        1,
    ),
    "embedded_reber": (
        embedded_reber,
        "shown            B T B P V V E T\n    asked            T B P V V E T E",
        answer_embedded_reber(one_hot("BTBPVVET", REBER_LETTERS)),
        [REBER_LETTERS.index(s) for s in "TBPVVETE"],
    ),
    "copy_memory": (
        copy_memory,
        "shown  a c - - ! - -\n    asked  - - - - - a c",
        answer_copy(one_hot("ac--!--", "abc-!"), num_items=2),
        [3, 3, 3, 3, 3, 0, 2],
    ),
    "delayed_xor": (
        delayed_xor,
        "x        1  0  0  1  1\n    asked    -  -  1  0  1",
        answer_delayed_xor(np.array([[1], [0], [0], [1], [1]]), delay=2),
        [0, 0, 1, 0, 1],
    ),
    "latch": (
        latch,
        "1 1 1 0.1 -0.3 0.2  -> 0.8",
        ANSWERS["latch"](np.array([[1], [1], [1], [0.1], [-0.3], [0.2]])),
        0.8,
    ),
    "parity": (
        parity,
        "1 0 1 1  -> odd, class 1",
        ANSWERS["parity"](one_hot("1011", "01")),
        1,
    ),
    "bucket_sort": (
        bucket_sort,
        "shown  2 0 1 0 ! ! ! !\n    asked  - - - - 0 0 1 2",
        answer_string(sorted)(one_hot("2010!!!!", "012!")),
        [0, 0, 0, 0, 0, 0, 1, 2],
    ),
    "reverse_string": (
        reverse_string,
        "shown  a b b ! ! !\n    asked  - - - b b a",
        answer_string(reversed)(one_hot("abb!!!", "ab!")),
        [0, 0, 0, 1, 1, 0],
    ),
    "majority": (
        majority,
        "1 0 1 1 0 1  -> four ones, two zeros, class 1",
        ANSWERS["majority"](one_hot("101101", "01")),
        1,
    ),
    "even_pairs": (
        even_pairs,
        "a a b b a  -> ab once, ba once: even, class 1",
        ANSWERS["even_pairs"](one_hot("aabba", "ab")),
        1,
    ),
    "cycle_navigation": (
        cycle_navigation,
        "+ + 0 + + + -  -> place 4",
        ANSWERS["cycle_navigation"](one_hot("++0+++-", "0+-")),
        4,
    ),
    "modular_arithmetic": (
        modular_arithmetic,
        "3 + 2 * 4 - 1  -> 10, class 0",
        answer_arithmetic(one_hot("3+2*4-1", "01234+-*")),
        0,
    ),
    "modular_arithmetic_brackets": (
        modular_arithmetic_brackets,
        "( ( 3 * 2 ) - ( - 4 ) )  -> 10, class 0",
        answer_brackets(one_hot("((3*2)-(-4))", "01234+-*()")),
        0,
    ),
    "flip_flop": (
        flip_flop,
        "asked  - - - - 1 - - - - - - - 0 -",
        answer_flip_flop(one_hot("w1i0r1w0i1i0r0", "wri01")),
        [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ),
    "word_problem_s3": (
        word_problem,
        "asked    1   3   1   5",
        answer_words(3)(np.eye(6)[[1, 2, 2, 4]]),
        [1, 3, 1, 5],
    ),
    "selective_copy": (
        selective_copy,
        "asked  - - - - - c a",
        answer_selective_copy(one_hot("-c-a-!!", "abc-!"), 2),
        [0, 0, 0, 0, 0, 2, 0],
    ),
    "mqar": (
        mqar,
        "asked  - - - - - - z - x -",
        answer_mqar(one_hot("bxcz--c-b-", "-abcxyz"), 2, 3),
        [0, 0, 0, 0, 0, 0, 2, 0, 0, 0],
    ),
    "induction_head": (
        induction_head,
        "c a ! b a c !  -> b, class 1",
        answer_induction_head(one_hot("ca!bac!", "abc!")),
        1,
    ),
    "keep_nth": (
        keep_nth,
        "d a b b c a  -> b, class 1",
        one_hot("dabbca", "abcd")[2].argmax(),
        1,
    ),
    "noisy_recall": (
        noisy_recall,
        "a z . : b x : : a z ! b  -> x, class 0",
        answer_noisy_recall(one_hot("az.:bx::az!b", "abxyz.:!"), 2, 3),
        0,
    ),
    "k_hop": (
        k_hop,
        "shown  a b c a c b a\n    asked  - - - - b - a",
        answer_k_hop(one_hot("abcacba", "abc")),
        [3, 3, 3, 3, 1, 3, 0],
    ),
    "anbn": (
        counting,
        "shown  S a a b b    asked  a a b b T",
        answer_counting("ab")(one_hot("Saabb", "Sab")),
        [0, 0, 1, 1, 2],
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_worked_example_of_the_docstring_is_right(name):
    module, line, found, wanted = EXAMPLES[name]
    assert line in (inspect.getmodule(module).__doc__ or "")
    assert_allclose(found, wanted)


def test_the_worked_example_of_the_text_is_right():
    task = character_language("abracadabra", held_out=0.4)
    assert task.input_size == task.output_size == 5
    draw = jax.jit(task.sample, static_argnums=(1, 2))
    batch = draw(jax.random.key(0), 40, 3)
    windows = {
        ("".join("abcdr"[k] for k in shown), "".join("abcdr"[k] for k in asked))
        for shown, asked in zip(
            np.argmax(batch.inputs, -1).T, np.asarray(batch.targets).T, strict=True
        )
    }
    # All windows of the first 7 characters, "abracad".
    wanted = [("abr", "bra"), ("bra", "rac"), ("rac", "aca"), ("aca", "cad")]
    assert windows == set(wanted)
    held_out = jax.jit(lambda key: task.sample_test(key, 4, 3))(jax.random.key(0))
    assert "".join("abcdr"[k] for k in np.argmax(held_out.inputs, -1)[:, 0]) == "abr"


# ---------------------------------------------------------------------------
# Factories
# ---------------------------------------------------------------------------


SHORTEST = {
    "adding": 2, "adding_1997": 6, "temporal_order_3": 10, "long_time_lag_2c": 4,
    "embedded_reber": 8, "anbncn": 4, "flip_flop": 4, "temporal_order_pascanu": 10,
    "selective_copy": 8, "mqar": 16,
    "induction_head": 3, "keep_nth": 6, "noisy_recall": 4,
    "k_hop": 4, "modular_arithmetic_brackets": 1,
    "majority": 1, "bucket_sort": 2, "reverse_string": 2,
}  # fmt: skip


@pytest.mark.parametrize("name", slow_but(["adding", "anbncn"], SHORTEST))
def test_the_shortest_length_is_one_that_works(name, key):
    task, shortest = lj.TASKS[name], SHORTEST[name]
    batch = jax.jit(task.sample, static_argnums=(1, 2))(key, 40, shortest)
    for k in range(40):
        ANSWERS[name](np.asarray(batch.inputs)[: batch.lengths[k], k])
    levels = [task.floor(shortest), *task.plateaus(shortest).values()]
    assert np.all(np.isfinite(levels))
    with pytest.raises(ValueError, match="max_length: got"):
        task.sample(key, 4, shortest - 1)
