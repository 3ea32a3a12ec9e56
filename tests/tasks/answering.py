"""The answer to a sequence of every task, by the story that its docstring tells."""

import math
import operator
import re
from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
from numpy.testing import assert_array_equal
from tasks.batches import STRING, TEXT, symbols_in

from lstm_jax.tasks import (
    temporal_order_pascanu,
)
from lstm_jax.tasks.character_language import alphabet_of
from lstm_jax.tasks.embedded_reber import (
    ALPHABET,
)
from lstm_jax.tasks.temporal_order import SYMBOLS


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


def answer_brackets(inputs):
    """Python's own arithmetic."""
    shown = "".join("01234+-*()"[k] for k in inputs.argmax(-1))
    assert inputs.any(-1).all()
    return eval(shown) % 5


def answer_string(answer):
    """The first half is symbols, the second markers; an odd step is empty."""

    def answers(inputs):
        shown = inputs.argmax(-1)
        first, second = np.split(shown, 2)
        assert inputs.any(-1).all() and set(second) == {inputs.shape[-1] - 1}
        assert not set(first) & set(second)
        return [*[0] * len(first), *answer(first.tolist())]

    return answers


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


def answer_k_hop(inputs, hops=2):
    """By the last step that holds each symbol, kept while reading."""
    shown, last, behind, answers = inputs.argmax(-1), {}, [], []
    assert np.all(np.diff(shown))
    for t, symbol in enumerate(shown):
        behind.append(last[symbol] + 1 if symbol in last else None)
        last[symbol], place = t, t
        for _ in range(hops):
            place = None if place is None else behind[place]
        answers.append(inputs.shape[-1] if place is None else shown[place])
    return answers


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
    "k_hop": answer_k_hop,
    "bucket_sort": answer_string(sorted),
    "reverse_string": answer_string(reversed),
    "majority": lambda inputs: np.median(inputs[:, 1]) > 0.5,
    "modular_arithmetic_brackets": answer_brackets,
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
