"""Every number that a task draws follows the law that its docstring states.

Each line of `LAWS` is one drawn quantity: how it is read off a batch, and its exact
probabilities. It is compared by Pearson's χ², and by its support: every outcome of the
law is seen, and none beside it. Keys are fixed, and a right program would fail once in
ten million of them.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import combinations, permutations, product
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from problems import slow_but
from tasks.languages import beginnings, geometric, marks_of_1997, reber_strings
from tasks.laws import (
    ADDING,
    ADDING_1997,
    LATCH,
    MULTIPLICATION,
    SHOW,
    TWO,
    Draw,
    assert_law,
    drawn,
    of,
    symbols,
    uniform,
)
from tasks.listed import bracketed

import lstm_jax as lj
from lstm_jax.tasks.embedded_reber import ALPHABET, is_outer

TEXT = "the bear is in the wood. the cat is at home. "


def together(*laws):
    """The law of independent quantities, as tuples."""
    return {
        tuple(outcomes): np.prod(
            [law[k] for law, k in zip(laws, outcomes, strict=True)]
        )
        for outcomes in product(*laws)
    }


def rows(values):
    """The columns of an array (quantities, many) as tuples."""
    return list(zip(*np.asarray(values).tolist(), strict=True))


def places(wanted):
    """Where it holds, (time, batch) bool, as a tuple of steps for each sequence."""
    return [tuple(np.flatnonzero(column).tolist()) for column in wanted.T]


def words(batch, alphabet, lengths):
    """What is shown as text."""
    shown = symbols(batch)
    return [
        "".join(alphabet[k] for k in shown[:length, n])
        for n, length in enumerate(lengths)
    ]


class Law(NamedTuple):
    """One drawn quantity.

    Attributes:
      draw: the batch it is read off.
      observe: the batch -> outcomes, hashable, one for each independent draw.
      law: outcome -> probability.
    """

    draw: Draw
    observe: Callable[[Any], Any]
    law: Mapping[Any, Any]


ORDER, ORDER_3 = of("temporal_order", 20_000, 44), of("temporal_order_3", 20_000, 66)
PASCANU = of("temporal_order_pascanu", 20_000, 37)
LAG_2A = of(lj.tasks.long_time_lag_2a(7), 2_000, 6, 7)
LAG_2B = of(lj.tasks.long_time_lag_2b(5), 4_000, 6)
LAG_2C, LAG_2C_SHORT = of(lj.tasks.long_time_lag_2c(4), 20_000, 103), of(
    lj.tasks.long_time_lag_2c(3), 20_000, 10)  # fmt: skip
COPY = of(lj.tasks.copy_memory(3, 2), 4_000, 9)
COPY_VARIABLE = of(lj.tasks.copy_memory_variable(3, 2), 4_000, 12)
XOR, PARITY, PAIRS = (of(name, 4_000, 14) for name in
                      ("delayed_xor", "parity", "even_pairs"))  # fmt: skip
CYCLE, SUMS = of("cycle_navigation", 4_000, 14), of("modular_arithmetic", 4_000, 13)
ANBN, ANBNCN = of("anbn", 4_000, 22), of("anbncn", 4_000, 22)
STRING, STREAM = of("embedded_reber", 20_000, 12), of(
    "continual_embedded_reber", 20_000, 16)  # fmt: skip

WORDS = of(lj.tasks.word_problem("S3", "transpositions"), 4_000, 6)
SCATTERED, RECALL = of(lj.tasks.selective_copy(3, 2), 4_000, 7), of(
    lj.tasks.mqar(2, 3, 4, 0.5), 4_000, 10)  # fmt: skip

INDUCTION, KEEP, NOISY = of(lj.tasks.induction_head(3), 4_000, 7), of(
    lj.tasks.keep_nth(2, 3), 4_000, 5), of(
    lj.tasks.noisy_recall(2, 3, 2, 0.3), 4_000, 9)  # fmt: skip

HOPS = of(lj.tasks.k_hop(1, 3), 4_000, 4)
BRACKETS = of("modular_arithmetic_brackets", 20_000, 8)

LANGUAGE = Draw(lj.tasks.character_language(TEXT, 0.25), 4_000, 5, 5)
LANGUAGE_TEST = LANGUAGE._replace(split="sample_test")


def in_windows(symbol):
    """At which steps a symbol from that index on stands."""
    return lambda batch: places((symbols(batch) >= symbol) & within(batch))


def within(batch):
    return np.arange(len(batch.inputs))[:, None] < batch.lengths


def pascanu_places(batch):
    return places((symbols(batch) < 2) & within(batch))


def distractors(low, high):
    """All symbols from low to high that are shown within the lengths."""

    def observe(batch):
        shown = symbols(batch)[within(batch)]
        return shown[(shown >= low) & (shown <= high)].tolist()

    return observe


def windows(text, length):
    """What is shown and asked, where every window is as likely as another."""
    starts = range(len(text) - length)
    law: defaultdict[tuple[str, str], float] = defaultdict(float)
    for k in starts:
        law[text[k : k + length], text[k + 1 : k + 1 + length]] += 1 / len(starts)
    return dict(law)


def window_of(batch):
    alphabet = sorted(set(TEXT))
    asked = ["".join(alphabet[k] for k in column) for column in batch.targets[:5].T]
    shown = words(batch, alphabet, [5] * len(asked))
    return list(zip(shown, asked, strict=True))


def equally(outcomes):
    outcomes = list(outcomes)
    return dict.fromkeys(outcomes, 1 / len(outcomes))


def without_replacement(chances):
    """The law of the first two places drawn."""
    return {
        (i, j): p * q / (1 - p)
        for (i, p), (j, q) in permutations(enumerate(chances), 2)
    }


def query_places(batch):
    """The places of the queries of both keys, counted in pairs of steps."""
    shown = symbols(batch)[:10]
    keys, queries = shown[[0, 2]], shown[4::2]
    return rows([(queries == key).argmax(0) for key in keys])


LAWS: dict[str, Law] = {
    "words, swaps": Law(
        WORDS, lambda b: symbols(b)[:6].ravel().tolist(), uniform(0, 2)),
    "selective_copy, places": Law(
        SCATTERED, lambda b: places((symbols(b) < 3) & within(b)),
        equally(combinations(range(5), 2))),
    "selective_copy, symbols": Law(
        SCATTERED, lambda b: rows(b.targets[5:7]),
        together(uniform(0, 2), uniform(0, 2))),
    "mqar, keys": Law(
        RECALL, lambda b: rows(symbols(b)[[0, 2]]), equally(
            permutations((1, 2, 3), 2))),
    "mqar, values": Law(
        RECALL, lambda b: rows(symbols(b)[[1, 3]] - 4), equally(
            permutations(range(4), 2))),
    "mqar, places": Law(
        RECALL, query_places, without_replacement(
            np.array([1, 2, 3]) ** -0.5 / (np.array([1, 2, 3]) ** -0.5).sum())),
    "induction_head, place and answer": Law(
        INDUCTION, lambda b: rows([(symbols(b) == 3).argmax(0), b.targets]),
        together(uniform(0, 4), uniform(0, 2))),
    "keep_nth, symbols and answer": Law(
        KEEP, lambda b: rows([symbols(b)[0], symbols(b)[4], b.targets]),
        together(*[uniform(0, 2)] * 3)),
    "noisy_recall, noise": Law(
        NOISY, lambda b: rows(symbols(b)[:6:2] >= 5),
        {one: sum(0.3**sum(one) * 0.7**(2 - sum(one)) / 3 for hit in one if not hit)
         for one in product((False, True), repeat=3) if not all(one)}),
    "noisy_recall, key and answer": Law(
        NOISY, lambda b: rows([symbols(b)[7], b.targets]),
        together(uniform(0, 1), uniform(0, 2))),
    "k_hop, texts": Law(
        HOPS, lambda b: rows(symbols(b)[:4]),
        equally(s for s in product(range(3), repeat=4) if np.all(np.diff(s)))),
    "modular_arithmetic_brackets, expressions": Law(
        BRACKETS, lambda b: words(b, "01234+-*()", b.lengths),
        {"".join(map(str, one.shown)): one.chance for one in bracketed(8)}),
    "adding, marks": Law(
        ADDING, lambda b: places(b.inputs[..., 1] == 1),
        together(uniform(0, 3), uniform(4, 8))),
    "adding_1997, marks": Law(
        ADDING_1997, lambda b: places(b.inputs[..., 1] == 1), marks_of_1997(44)),
    "multiplication, marks": Law(
        MULTIPLICATION, lambda b: places(b.inputs[..., 1] == 1), marks_of_1997(22)),
    "adding_1997, lengths": Law(
        ADDING_1997, lambda b: b.lengths.tolist(), uniform(40, 44)),
    "adding_1997, lengths and the first number": Law(
        ADDING_1997,
        lambda b: rows([b.lengths, b.inputs[1, :, 0] > 0]),
        together(uniform(40, 44), uniform(0, 1))),
    "temporal_order, places": Law(
        ORDER, in_windows(6), together(uniform(4, 8), uniform(20, 24))),
    "temporal_order_3, places": Law(
        ORDER_3, in_windows(6),
        together(uniform(6, 12), uniform(19, 25), uniform(39, 45))),
    "temporal_order, lengths and class": Law(
        ORDER, lambda b: rows([b.lengths, b.targets]),
        together(uniform(40, 44), uniform(0, 3))),
    "temporal_order_3, lengths and class": Law(
        ORDER_3, lambda b: rows([b.lengths, b.targets]),
        together(uniform(60, 66), uniform(0, 7))),
    "temporal_order, distractors": Law(ORDER, distractors(2, 5), uniform(2, 5)),
    "temporal_order, one distractor and the next": Law(
        ORDER, lambda b: rows(symbols(b)[1:3]), together(uniform(2, 5), uniform(2, 5))),
    "temporal_order_pascanu, places": Law(
        PASCANU, pascanu_places, together(uniform(3, 5), uniform(18, 20))),
    "temporal_order_pascanu, class": Law(
        PASCANU, lambda b: b.targets.tolist(), uniform(0, 3)),
    "temporal_order_pascanu, distractors": Law(
        PASCANU, distractors(2, 5), uniform(2, 5)),
    "temporal_order_pascanu, the last step": Law(
        PASCANU, lambda b: symbols(b)[36].tolist(), uniform(2, 5)),
    "long_time_lag_2a, the symbol": Law(
        LAG_2A, lambda b: symbols(b)[0].tolist(), uniform(6, 7)),
    "long_time_lag_2b, all symbols": Law(
        LAG_2B, lambda b: rows(symbols(b)[:4]),
        together(uniform(4, 5), *[uniform(0, 3)] * 3)),
    "long_time_lag_2b, two late ones": Law(
        LAG_2B, lambda b: rows(symbols(b)[4:6]),
        together(uniform(0, 3), uniform(0, 3))),
    "long_time_lag_2c, extra distractors": Law(
        LAG_2C, lambda b: (b.lengths - 53).tolist(), geometric(50)),
    "long_time_lag_2c, extra distractors where few fit": Law(
        LAG_2C_SHORT, lambda b: (b.lengths - 7).tolist(), geometric(3)),
    "long_time_lag_2c, the symbol and two distractors": Law(
        LAG_2C, lambda b: rows(symbols(b)[1:4]),
        together(uniform(6, 7), uniform(0, 3), uniform(0, 3))),
    "two_sequence_3a, lengths and class": Law(
        TWO["3a"], lambda b: rows([b.lengths, b.targets]),
        together(uniform(30, 33), uniform(0, 1))),
    "two_sequence_3b, lengths and class": Law(
        TWO["3b"], lambda b: rows([b.lengths, b.targets]),
        together(uniform(30, 33), uniform(0, 1))),
    "two_sequence_3c, lengths and class": Law(
        TWO["3c"], lambda b: rows([b.lengths, b.targets[:, 1].round(4)]),
        {(n, t): 1 / 8 for n in range(30, 34)
         for t in np.array([0.2, 0.8], np.float32).round(4).tolist()}),
    "two_sequence_3c, information and target": Law(
        TWO["3c"], lambda b: rows([b.inputs[0, :, 0], b.targets[:, 1] > 0.5]),
        {(-1, False): 0.5, (1, True): 0.5}),
    "two_sequence_3a, information": Law(
        TWO["3a"], lambda b: rows(b.inputs[:3, :, 0]),
        {(-1, -1, -1): 0.5, (1, 1, 1): 0.5}),
    "latch, information and answer": Law(
        LATCH, lambda b: rows([*b.inputs[:3, :, 0], b.targets.round(4)]),
        {(s, s, s, float(np.float32(0.8 * s).round(4))): 0.5 for s in (-1, 1)}),
    "copy_memory, items": Law(
        COPY, lambda b: rows(symbols(b)[:2]), together(uniform(0, 2), uniform(0, 2))),
    "copy_memory_variable, items and delay": Law(
        COPY_VARIABLE, lambda b: rows([*symbols(b)[:2], b.lengths - 4]),
        together(uniform(0, 2), uniform(0, 2), uniform(1, 8))),
    "delayed_xor, bits": Law(
        XOR, lambda b: rows(b.inputs[:5, :, 0]), together(*[uniform(0, 1)] * 5)),
    "delayed_xor, late bits": Law(
        XOR, lambda b: rows(b.inputs[9:14, :, 0]), together(*[uniform(0, 1)] * 5)),
    "parity, bits": Law(
        PARITY, lambda b: rows(symbols(b)[:5]), together(*[uniform(0, 1)] * 5)),
    "parity, late bits and answer": Law(
        PARITY, lambda b: rows([*symbols(b)[11:14], b.targets]),
        together(*[uniform(0, 1)] * 4)),
    "majority, bits": Law(
        of("majority", 4_000, 14), lambda b: rows(symbols(b)[4:9]),
        together(*[uniform(0, 1)] * 5)),
    "bucket_sort, symbols": Law(
        of(lj.tasks.bucket_sort(3), 4_000, 9), lambda b: rows(symbols(b)[:4]),
        together(*[uniform(0, 2)] * 4)),
    "reverse_string, symbols": Law(
        of(lj.tasks.reverse_string(3), 4_000, 9), lambda b: rows(symbols(b)[:4]),
        together(*[uniform(0, 2)] * 4)),
    "even_pairs, symbols": Law(
        PAIRS, lambda b: rows(symbols(b)[:5]), together(*[uniform(0, 1)] * 5)),
    "even_pairs, late symbols and answer": Law(
        PAIRS, lambda b: rows([*symbols(b)[11:14], b.targets]),
        together(*[uniform(0, 1)] * 4)),
    "cycle_navigation, moves": Law(
        CYCLE, lambda b: rows(symbols(b)[:4]), together(*[uniform(0, 2)] * 4)),
    "modular_arithmetic, numbers and operations": Law(
        SUMS, lambda b: rows(symbols(b)[:4]),
        together(uniform(0, 4), uniform(5, 7), uniform(0, 4), uniform(5, 7))),
    "anbn, lengths": Law(
        ANBN, lambda b: b.lengths.tolist(), {2 * n + 1: 1 / 10 for n in range(1, 11)}),
    "anbncn, lengths": Law(
        ANBNCN, lambda b: b.lengths.tolist(), {3 * n + 1: 1 / 7 for n in range(1, 8)}),
    "embedded_reber, strings": Law(
        STRING, lambda b: [w + "E" for w in words(b, ALPHABET,
                                                  b.lengths)], reber_strings(13)),
    "continual_embedded_reber, beginnings": Law(
        STREAM, lambda b: words(b, ALPHABET, [13] * 20_000),
        beginnings(13, endless=True)),
    "nature_show, scenes and distractors": Law(
        SHOW, lambda b: rows(symbols(b)[:4]),
        together(uniform(0, 3), *[uniform(4, 6)] * 3)),
    "nature_show, scene and answer": Law(
        SHOW, lambda b: rows([symbols(b)[0] < 2, b.targets]),
        {(True, 1): 0.4, (True, 2): 0.1, (False, 0): 0.4, (False, 2): 0.1}),
    "character_language, windows": Law(LANGUAGE, window_of, windows(TEXT[:34], 5)),
    "character_language, windows of the test": Law(
        LANGUAGE_TEST, window_of, windows(TEXT[34:], 5)),
}  # fmt: skip


# A mark, a place, a symbol, a length, two of them together, a string and a scene.
FEW = (
    "adding, marks",
    "temporal_order, places",
    "temporal_order, one distractor and the next",
    "two_sequence_3c, information and target",
    "copy_memory_variable, items and delay",
    "anbn, lengths",
    "embedded_reber, strings",
    "nature_show, scene and answer",
    "character_language, windows of the test",
)


@pytest.mark.parametrize("name", slow_but(FEW, LAWS))
def test_what_is_drawn_follows_its_law(name):
    draw, observe, law = LAWS[name]
    assert_law(observe(drawn(draw)), law)


def test_the_outer_symbols_of_a_stream_follow_every_other_e():
    batch = drawn(STREAM)
    ends = (symbols(batch) == 6) & within(batch)
    inner = ends & (np.cumsum(ends, axis=0) % 2 == 1)
    assert_array_equal(is_outer(jax.tree.map(jax.numpy.asarray, batch)),
                       inner)  # fmt: skip


def test_the_window_of_the_least_length_is_one_character():
    task = lj.tasks.character_language("ab" * 10, 0.9)
    batch = drawn(Draw(task, 200, 1, 1))
    assert set(rows([symbols(batch)[0], batch.targets[0]])) == {(0, 1)}
