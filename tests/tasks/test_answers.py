"""The answers follow from the inputs, by the story that each docstring tells."""

import inspect
import math
import operator
import re
from collections.abc import Callable
from itertools import permutations
from typing import Any

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import slow_but
from tasks.batches import STRING, TEXT, is_last, many, symbols_in

import lstm_jax as lj
from lstm_jax.tasks import (
    adding,
    adding_1997,
    counting,
    cycle_navigation,
    even_pairs,
    flip_flop,
    induction_head,
    keep_nth,
    long_time_lag,
    modular_arithmetic,
    noisy_recall,
    parity,
    temporal_order_pascanu,
)
from lstm_jax.tasks.character_language import alphabet_of, character_language
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

# ---------------------------------------------------------------------------
# The answers follow from the inputs, by the story that the docstring tells
# ---------------------------------------------------------------------------


def marked_1997(inputs):
    """The numbers marked 1; fewer than two where the first pair was marked."""
    marks = inputs[:, 1]
    assert marks[0] == marks[-1] == -1 and set(marks[1:-1]) <= {0, 1}
    numbers = inputs[marks == 1, 0]
    assert len(numbers) in (1, 2)
    return numbers


def answer_adding(inputs):
    numbers, marks = inputs.T
    assert set(marks) <= {0, 1}
    first, second = np.flatnonzero(marks)
    assert first < len(marks) // 2 <= second
    return numbers[first] + numbers[second]


def answer_temporal_order(inputs):
    shown = symbols_in(SYMBOLS)(inputs)
    assert re.fullmatch(r"E[abcdXY]+B", shown)
    ordered = re.sub(r"[^XY]", "", shown)
    return int(ordered.replace("X", "0").replace("Y", "1"), 2)


def answer_temporal_order_pascanu(inputs):
    shown = symbols_in(temporal_order_pascanu.SYMBOLS)(inputs)
    order = re.sub(r"[c-f]", "", shown)
    return ["AA", "AB", "BA", "BB"].index(order)


def answer_long_time_lag(inputs):
    shown = inputs.argmax(-1)
    assert shown[0] >= inputs.shape[-1] - 2 > max(shown[1:], default=-1)
    return [*shown[1:], shown[0]]


def answer_long_time_lag_2a(inputs):
    answers = answer_long_time_lag(inputs)
    assert_array_equal(answers[:-1], np.arange(len(inputs) - 1))
    return answers


def answer_long_time_lag_2c(inputs):
    size = inputs.shape[-1]
    shown = "".join("a" if k < size - 4 else "bexy"[k - size] for k in
                    np.argmax(inputs, -1))  # fmt: skip
    assert re.fullmatch(r"b[xy]a+e", shown)
    return "xy".index(shown[1])


def answer_embedded_reber(inputs):
    shown = symbols_in(ALPHABET)(inputs)
    assert re.fullmatch(STRING, shown + "E")
    return [ALPHABET.index(s) for s in shown[1:] + "E"]


def answer_copy(inputs, num_items=10):
    shown, blank = inputs.argmax(-1), inputs.shape[-1] - 2
    items, rest = shown[:num_items], shown[num_items:]
    assert np.all(items < blank)
    assert np.all(rest[: -num_items - 1] == blank)
    assert rest[-num_items - 1] == blank + 1 and np.all(rest[-num_items:] == blank)
    return [*[blank] * (len(shown) - num_items), *items]


def answer_delayed_xor(inputs, delay=10):
    bits = inputs[:, 0].astype(int)
    assert set(bits) <= {0, 1}
    late = bits[delay // 2 : len(bits) - delay // 2] ^ bits[: len(bits) - delay]
    return [*[0] * delay, *late]


def answer_two_sequence(inputs):
    return float(inputs[:3, 0].sum() > 0)


def answer_counting(letters):
    def answer(inputs):
        shown = symbols_in("S" + letters)(inputs)
        n = (len(shown) - 1) // len(letters)
        assert shown == "S" + "".join(letter * n for letter in letters)
        return [(letters + "T").index(s) for s in shown[1:] + "T"]

    return answer


def answer_character(inputs):
    shown = symbols_in(alphabet_of(TEXT))(inputs)
    nexts = {m.end() for m in re.finditer(re.escape(shown), TEXT)} - {len(TEXT)}
    followers = {TEXT[k] for k in nexts}
    assert len(followers) == 1, "a window of this text has one continuation"
    return [alphabet_of(TEXT).index(s)
            for s in shown[1:] + followers.pop()]  # fmt: skip


def answer_flip_flop(inputs):
    """The string by its rule: 0 where nothing is asked."""
    text, answers, stored = symbols_in("wri01")(inputs), [], ""
    assert text[0] == "w" and text[-2] == "r"
    for one, bit in zip(text[::2], text[1::2], strict=True):
        assert one in "wri" and bit in "01"
        stored = bit if one == "w" else stored
        assert one != "r" or bit == stored
        answers += [int(stored) if one == "r" else 0, 0]
    return answers


def answer_words(things, even=False):
    """The product by matrices; its place among all of them, sorted."""
    ways = [np.eye(things)[list(p)] for p in permutations(range(things))]
    group = [way for way in ways if not even or np.linalg.det(way) > 0]

    def answer(inputs):
        reached, found = np.eye(things), []
        for place in inputs.argmax(-1):
            # Row k of a matrix is the one that thing k goes to: g, and then s.
            reached = reached @ group[place]
            found.append(int(np.argmax([(reached == way).all() for way in group])))
        return found

    return answer


def answer_selective_copy(inputs, num_items=4):
    shown, blank = inputs.argmax(-1), inputs.shape[-1] - 2
    items = shown[shown < blank]
    assert len(items) == num_items
    assert np.all(shown[-num_items:] == blank + 1)
    assert np.all(shown[:-num_items] != blank + 1)
    return [*[0] * (len(shown) - num_items), *items]


def answer_mqar(inputs, num_pairs=4, num_keys=16):
    shown = inputs.argmax(-1)
    keys, values = shown[0 : 2 * num_pairs : 2], shown[1 : 2 * num_pairs : 2]
    assert np.all((keys >= 1) & (keys <= num_keys)) and np.all(values > num_keys)
    assert len(set(keys)) == len(set(values)) == num_pairs
    pairs = dict(zip(keys, values, strict=True))
    rest = shown[2 * num_pairs :]
    assert sorted(rest[rest > 0]) == sorted(keys) and not np.any(rest[1::2])
    asked = [pairs[one] - num_keys - 1 if one else 0 for one in rest]
    return [*[0] * 2 * num_pairs, *asked]


def answer_arithmetic(inputs):
    """By terms: what stands between two sums is a product."""
    shown = "".join("01234+-*"[step.argmax()] for step in inputs if step.any())
    terms = shown.replace("-", "+-").split("+")
    factors = [term.removeprefix("-").split("*") for term in terms]
    signs = [-1 if term.startswith("-") else 1 for term in terms]
    products = [math.prod(map(int, of)) for of in factors]
    return sum(map(operator.mul, signs, products)) % 5


def answer_induction_head(inputs):
    shown, mark = inputs.argmax(-1), inputs.shape[-1] - 1
    first, last = np.flatnonzero(shown == mark)
    assert last == len(shown) - 1 > first + 1
    return shown[first + 1]


def answer_noisy_recall(inputs, num_keys=7, num_values=8):
    shown, mark = inputs.argmax(-1), inputs.shape[-1] - 1
    pairs, (last, asked) = shown[:-2].reshape(-1, 2), shown[-2:]
    assert last == mark and not np.any(pairs == mark)
    noise = pairs >= num_keys + num_values
    assert np.all(noise[:, 0] == noise[:, 1])
    (value,) = {int(v) for k, v in pairs if k == asked}
    return value - num_keys


ANSWERS: dict[str, Callable[[np.ndarray], Any]] = {
    "adding": answer_adding,
    "adding_1997": lambda inputs: 0.5 + marked_1997(inputs).sum() / 4,
    "multiplication": lambda inputs: marked_1997(inputs).prod(),
    "temporal_order": answer_temporal_order,
    "temporal_order_3": answer_temporal_order,
    "temporal_order_pascanu": answer_temporal_order_pascanu,
    "long_time_lag_2a": answer_long_time_lag_2a,
    "long_time_lag_2b": answer_long_time_lag,
    "long_time_lag_2c": answer_long_time_lag_2c,
    "two_sequence_3a": answer_two_sequence,
    "two_sequence_3b": answer_two_sequence,
    "embedded_reber": answer_embedded_reber,
    "flip_flop": answer_flip_flop,
    "word_problem_s3": answer_words(3),
    "word_problem_a5": answer_words(5, even=True),
    "selective_copy": answer_selective_copy,
    "mqar": answer_mqar,
    "induction_head": answer_induction_head,
    "keep_nth": lambda inputs: inputs[4].argmax(),
    "noisy_recall": answer_noisy_recall,
    "copy_memory": answer_copy,
    "copy_memory_variable": answer_copy,
    "delayed_xor": answer_delayed_xor,
    "latch": lambda inputs: 0.8 * np.sign(inputs[0, 0]),
    "parity": lambda inputs: inputs[:, 1].sum() % 2,
    "even_pairs": lambda inputs: (np.diff(inputs[:, 0]) != 0).sum() % 2 == 0,
    "cycle_navigation": lambda inputs: (inputs @ [0, 1, -1]).sum() % 5,
    "modular_arithmetic": answer_arithmetic,
    "anbn": answer_counting("ab"),
    "anbncn": answer_counting("abc"),
    "character_language": answer_character,
}


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
    held_out = task.sample_test(jax.random.key(0), 4, 3)
    assert "".join("abcdr"[k] for k in np.argmax(held_out.inputs, -1)[:, 0]) == "abr"


# ---------------------------------------------------------------------------
# Factories
# ---------------------------------------------------------------------------


SHORTEST = {
    "adding": 2, "adding_1997": 6, "temporal_order_3": 10, "long_time_lag_2c": 4,
    "embedded_reber": 8, "anbncn": 4, "flip_flop": 4, "temporal_order_pascanu": 10,
    "selective_copy": 8, "mqar": 16,
    "induction_head": 3, "keep_nth": 6, "noisy_recall": 4,
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
