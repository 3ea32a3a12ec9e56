"""Every number that a task draws follows the law that its docstring states.

Each line of `LAWS` is one drawn quantity: how it is read off a batch, and its exact
probabilities. It is compared by Pearson's χ², and by its support: every outcome of the
law is seen, and none beside it. Keys are fixed, and a right program would fail once in
ten million of them.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats
from sklearn.datasets import load_digits
from tasks.languages import beginnings, geometric, marks_of_1997, reber_strings

import lstm_jax as lj
from lstm_jax.tasks.embedded_reber import ALPHABET, is_outer

UNLIKELY = 1e-7
TEXT = "the bear is in the wood. the cat is at home. "


class Draw(NamedTuple):
    """A batch to look at: of which task, how many sequences, in which arrays."""

    task: lj.Task
    many: int
    length: int
    max_length: int
    split: str = "sample"


@cache
def drawn(draw):
    """The batch as NumPy arrays."""
    sample = jax.jit(getattr(draw.task, draw.split), static_argnums=(1, 2))
    batch = sample(jax.random.key(7), draw.many, draw.max_length, draw.length)
    return jax.tree.map(np.asarray, batch)


def uniform(low, high):
    """Every whole number from low to high, both included."""
    return {k: 1 / (high - low + 1) for k in range(low, high + 1)}


def together(*laws):
    """The law of independent quantities, as tuples."""
    return {
        tuple(outcomes): np.prod(
            [law[k] for law, k in zip(laws, outcomes, strict=True)]
        )
        for outcomes in product(*laws)
    }


def assert_law(found, law):
    """The outcomes found, as many as expected each, and no others."""
    counts = Counter(found)
    assert set(counts) <= set(law), set(counts) - set(law)
    likely = {k for k in law if len(found) * law[k] > -np.log(UNLIKELY / len(law))}
    assert likely <= set(counts), likely - set(counts)
    expected = len(found) * np.array(list(law.values()))
    assert np.isclose(expected.sum(), len(found))
    difference = np.array([counts[k] for k in law]) - expected
    if len(law) > 1:
        statistic = np.sum(difference**2 / expected)
        assert statistic < stats.chi2.isf(UNLIKELY, len(law) - 1)


def symbols(batch):
    return batch.inputs.argmax(-1)


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


# ---------------------------------------------------------------------------
# What is drawn, by task
# ---------------------------------------------------------------------------


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


def of(name, many, length, max_length=None):
    task = name if isinstance(name, lj.Task) else lj.TASKS[name]
    return Draw(task, many, length, max_length or length + 2)


ADDING, ADDING_1997 = of("adding", 4_000, 9), of("adding_1997", 20_000, 44)
MULTIPLICATION = of("multiplication", 20_000, 22)
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
ANBN, ANBNCN = of("anbn", 4_000, 22), of("anbncn", 4_000, 22)
STRING, STREAM = of("embedded_reber", 20_000, 12), of(
    "continual_embedded_reber", 20_000, 16)  # fmt: skip
LATCH = of("latch", 4_000, 8)
TWO = {name: of(f"two_sequence_{name}", 20_000, 33) for name in ("3a", "3b", "3c")}
SHOW = of(lj.tasks.nature_show("vectors"), 20_000, 5)
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


LAWS: dict[str, Law] = {
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
    "even_pairs, symbols": Law(
        PAIRS, lambda b: rows(symbols(b)[:5]), together(*[uniform(0, 1)] * 5)),
    "even_pairs, late symbols and answer": Law(
        PAIRS, lambda b: rows([*symbols(b)[11:14], b.targets]),
        together(*[uniform(0, 1)] * 4)),
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


@pytest.mark.parametrize("name", LAWS)
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


# ---------------------------------------------------------------------------
# Images: each of its split as likely as another
# ---------------------------------------------------------------------------

SHOWN_AS = {
    "bear": 8, "fox": 3, "cat": 0, "armchair": 2, "oak": 1, "pine": 7, "squirrel": 6,
    "dog": 5, "wolf": 9, "goldfish": 4,
}  # fmt: skip
IS_TEST = {"sample": [0, 1, 2, 3], "sample_test": [4]}


@cache
def images_of(digit, split, rarest=None):
    """The images of a digit; every fifth is for the test."""
    pixels, digits = load_digits(return_X_y=True)
    of_digit = pixels[digits == digit][:rarest].astype(np.float32) / 16
    chosen = [k for k in range(len(of_digit)) if k % 5 in IS_TEST[split]]
    return of_digit[chosen]


def numbers_of(images, seen):
    """Which image each row is."""
    number = {image.tobytes(): k for k, image in enumerate(images)}
    assert len(number) == len(images)
    return [number[np.ascontiguousarray(row).tobytes()] for row in seen]


@pytest.mark.parametrize("split", IS_TEST)
@pytest.mark.parametrize("name", ["sequential_digits", "permuted_digits"])
def test_every_digit_of_a_split_is_drawn_as_often_as_another(name, split):
    images = np.concatenate([images_of(digit, split) for digit in range(10)])
    batch = drawn(Draw(lj.TASKS[name], 60_000, 64, 64, split))
    order = np.random.default_rng(0).permutation(64)
    order = order if name == "permuted_digits" else np.arange(64)
    shown = np.empty((60_000, 64), np.float32)
    shown[:, order] = batch.inputs[..., 0].T
    which = numbers_of(images, shown)
    assert_law(which, uniform(0, len(images) - 1))
    labels = np.repeat(range(10), [len(images_of(d, split)) for d in range(10)])
    assert_array_equal(labels[which], batch.targets)


@pytest.mark.parametrize("split", IS_TEST)
def test_every_image_of_a_role_is_shown_as_often_as_another(split):
    batch = drawn(Draw(lj.TASKS["nature_show"], 20_000, 5, 5, split))
    rarest = np.bincount(load_digits(return_X_y=True)[1]).min()
    images = {role: images_of(d, split, rarest) for role, d in SHOWN_AS.items()}
    many = len(images["dog"])
    alone = ["bear", "fox", "cat", "armchair", "oak", "pine", "squirrel", "goldfish"]
    every = np.concatenate([images[role] for role in alone])
    clear = batch.targets == 2
    seen = [batch.inputs[0], batch.inputs[1], batch.inputs[3], batch.inputs[4][clear]]
    which = np.array(numbers_of(every, np.concatenate(seen)))
    for k, _ in enumerate(alone):
        assert_law(which[which // many == k] % many, uniform(0, many - 1))
    blends = (images["dog"][:, None] + images["wolf"]) / 2
    pairs = np.array(numbers_of(blends.reshape(-1, 64), batch.inputs[4][~clear]))
    assert_law(pairs // many, uniform(0, many - 1))
    assert_law(pairs % many, uniform(0, many - 1))
    assert_law(
        (pairs // many + pairs % many) % 2,
        {
            k: share
            for k, share in enumerate(
                np.bincount(np.add.outer(range(many), range(many)).ravel() % 2)
                / many**2
            )
        },
    )


# ---------------------------------------------------------------------------
# Real numbers
# ---------------------------------------------------------------------------


class Noise(NamedTuple):
    """Independent real numbers.

    Attributes:
      draw: the batch they are read off.
      observe: the batch -> (anything, batch), without what is no draw.
      law: their distribution.
    """

    draw: Draw
    observe: Callable[[Any], np.ndarray]
    law: Any


def first_numbers(batch):
    """The numbers at step 0 of the sequences in which it is not neutral."""
    both_seen = (batch.inputs[..., 1] == 1).sum(0) == 2
    return batch.inputs[0, both_seen, 0][None]


def roles_of(batch, step):
    return np.eye(10)[symbols(batch)[step]]


def ambiguous(batch):
    return batch.inputs[4, batch.targets != 2].T - 0.5 * np.isin(np.arange(10), [7, 8])[
        :, None]  # fmt: skip


ONE_INFORMATIVE = of(lj.tasks.two_sequence("3b", 1), 4_000, 33)
NOISES = {
    "adding": Noise(ADDING, lambda b: b.inputs[:9, :, 0], stats.uniform(0, 1)),
    "adding_1997": Noise(
        ADDING_1997, lambda b: b.inputs[1:40, :, 0], stats.uniform(-1, 2)),
    "adding_1997, first": Noise(ADDING_1997, first_numbers, stats.uniform(-1, 2)),
    "multiplication": Noise(
        MULTIPLICATION, lambda b: b.inputs[1:20, :, 0], stats.uniform(0, 1)),
    "multiplication, first": Noise(MULTIPLICATION, first_numbers, stats.uniform(0, 1)),
    **{
        f"two_sequence_{name}": Noise(
            draw, lambda b: b.inputs[3:30, :, 0], stats.norm(0, 0.2**0.5))
        for name, draw in TWO.items()
    },
    "two_sequence_3b, information": Noise(
        TWO["3b"], lambda b: b.inputs[:3, :, 0] - np.where(b.targets == 1, 1, -1),
        stats.norm(0, 0.2**0.5)),
    "two_sequence_3b, one informative": Noise(
        ONE_INFORMATIVE, lambda b: b.inputs[:1, :, 0] - np.where(b.targets == 1, 1, -1),
        stats.norm(0, 0.2**0.5)),
    "two_sequence_3b, then noise": Noise(
        ONE_INFORMATIVE, lambda b: b.inputs[1:30, :, 0], stats.norm(0, 0.2**0.5)),
    "two_sequence_3c, targets": Noise(
        TWO["3c"], lambda b: (b.targets[:, 0] - b.targets[:, 1])[None],
        stats.norm(0, 0.1**0.5)),
    "latch": Noise(LATCH, lambda b: b.inputs[3:8, :, 0], stats.norm(0, 0.2)),
    "nature_show, scene": Noise(
        SHOW, lambda b: (b.inputs[0] - roles_of(b, 0)).T, stats.norm(0, 0.1)),
    "nature_show, distractor": Noise(
        SHOW, lambda b: (b.inputs[2] - roles_of(b, 2)).T, stats.norm(0, 0.1)),
    "nature_show, dog and wolf": Noise(SHOW, ambiguous, stats.norm(0, 0.1 / 2**0.5)),
    "nature_show, goldfish": Noise(
        SHOW, lambda b: (b.inputs[4, b.targets == 2] - np.eye(10)[9]).T,
        stats.norm(0, 0.1)),
}  # fmt: skip


@pytest.mark.parametrize("name", NOISES)
def test_real_numbers_follow_their_law_and_not_one_another(name):
    draw, observe, law = NOISES[name]
    values = np.asarray(observe(drawn(draw)), np.float64)
    assert values.size >= 1_000
    low, high = law.support()
    assert low <= values.min() and values.max() <= high
    assert stats.kstest(values.ravel(), law.cdf).pvalue > UNLIKELY
    z = (values - law.mean()) / law.std()
    pairs = [(z[:, 1:], z[:, :-1]), *([(z[1:], z[:-1])] if len(z) > 1 else [])]
    for one, other in pairs:
        product = one * other
        standard_error = product.std() / product.size**0.5
        assert abs(product.mean()) < stats.norm.isf(UNLIKELY) * standard_error


@pytest.mark.parametrize(("draw", "neutral"), [(ADDING_1997, 0), (MULTIPLICATION, 1)])
def test_the_number_of_a_marked_first_pair_is_neutral_and_no_other(draw, neutral):
    batch = drawn(draw)
    hidden = (batch.inputs[..., 1] == 1).sum(0) == 1
    assert_array_equal(batch.inputs[0, :, 0] == neutral, hidden)
