"""What guessing costs: floors and plateaus, exactly, from every sequence there is.

At small sizes all sequences of a task can be listed with their probabilities. The least
loss of who knows a part of one (`known`) is then a sum over what may follow from it,
and must be the number that the task states, to rounding.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from fractions import Fraction
from itertools import combinations, permutations, product
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from tasks.languages import beginnings, geometric, reber_strings

import lstm_jax as lj
from lstm_jax.tasks import adding_1997

LN2 = np.log(2)


def entropy(shares):
    return -sum(p * np.log(p) for p in shares if p > 0)


def variance(shares):
    return sum(p * (1 - p) for p in shares)


class Listed(NamedTuple):
    """One sequence: what it shows, what it asks at every step (None: nothing)."""

    shown: tuple[Hashable, ...]
    asked: tuple[Hashable, ...]
    chance: float


def least_loss(sequences, known, uncertainty):
    """The least mean loss of who knows `known(shown, t)` at step t."""
    following: dict[Hashable, Counter[Hashable]] = {}
    for shown, asked, chance in sequences:
        for t, answer in enumerate(asked):
            if answer is not None:
                seen = following.setdefault(known(shown, t), Counter())
                seen[answer] += chance
    asked = sum(sum(answers.values()) for answers in following.values())
    losses = []
    for answers in following.values():
        whole = sum(answers.values())
        losses.append(whole * uncertainty([n / whole for n in answers.values()]))
    return sum(losses) / asked


def at_end(shown, answer, chance):
    return Listed(shown, (*[None] * (len(shown) - 1), answer), chance)


# ---------------------------------------------------------------------------
# Every sequence of a task
# ---------------------------------------------------------------------------

SWAPS = lj.tasks.word_problem("S3", "transpositions")
RECALL = lj.tasks.mqar(2, 3, 4, power=0.5)


def words(length):
    """All strings of swaps of three things, and what they come to."""
    found = []
    for shown in product(((0, 2, 1), (1, 0, 2), (2, 1, 0)), repeat=length):
        reached, asked = (0, 1, 2), []
        for swap in shown:
            reached = tuple(swap[k] for k in reached)
            asked.append(reached)
        found.append(Listed(shown, tuple(asked), 3.0**-length))
    return found


def scattered(num_symbols, num_items, length):
    """All ways to scatter symbols among blanks, with markers at the end."""
    free = length - num_items
    found, places = [], list(combinations(range(free), num_items))
    for where, items in product(places, product(range(num_symbols), repeat=num_items)):
        shown: list[Any] = ["-"] * free + ["!"] * num_items
        for place, item in zip(where, items, strict=True):
            shown[place] = item
        asked = (*[None] * free, *items)
        chance = float(num_symbols) ** -num_items / len(places)
        found.append(Listed(tuple(shown), asked, chance))
    return found


def items_in(shown):
    return [one for one in shown if one not in ("-", "!")]


def recalls(num_keys, num_values):
    """Two pairs, then a query of each, at the two places there are."""
    ways = [*product(permutations(range(num_keys), 2),
                     permutations(range(num_values), 2), (True, False))]  # fmt: skip
    first = 1 / (1 + 2**-0.5)  # p(i) ∝ i^(0.5 - 1)
    found = []
    for (a, b), (x, y), in_order in ways:
        (one, other), answers = ((a, b), (x, y)) if in_order else ((b, a), (y, x))
        asked = (*[None] * 4, answers[0], None, answers[1], None)
        chance = (first if in_order else 1 - first) / (len(ways) / 2)
        shown = (f"k{a}", x, f"k{b}", y, f"k{one}", "-", f"k{other}", "-")
        found.append(Listed(shown, asked, chance))
    return found


def marked(num_symbols, length):
    """All texts with a mark in them and one at their end."""
    texts = [*product(product(range(num_symbols), repeat=length - 2),
                      range(length - 2))]  # fmt: skip
    return [
        at_end((*text[:k], "!", *text[k:], "!"), text[k], 1 / len(texts))
        for text, k in texts
    ]


def firsts(n, num_symbols):
    """All texts of n + 1 symbols, the n-th asked for, and which one is kept."""
    texts = [*product(product(range(num_symbols), repeat=n + 1), range(n))]
    return [at_end((kept, *s), s[n - 1], 1 / len(texts)) for s, kept in texts]


def noisy(num_keys, num_values, noise, slots):
    """All slots of pairs and noise, of which one is asked for."""
    found = []
    for asked, keys, values, drawn in product(
        range(slots), product(range(num_keys), repeat=slots),
        product(range(num_values), repeat=num_keys),
        product((False, True), repeat=slots),
    ):  # fmt: skip
        chance = 1 / slots / num_keys**slots / num_values**num_keys
        chance *= np.prod([noise if one else 1 - noise for one in drawn])
        pairs = [
            None if drawn[k] and k != asked else (key, values[key])
            for k, key in enumerate(keys)
        ]
        shown = (*pairs, keys[asked])
        found.append(at_end(shown, values[keys[asked]], chance))
    return found


def last_pair(shown, t):
    """The last slot that is no noise."""
    return [one for one in shown[:-1] if one][-1], shown[-1]


def lag_2a(p, length):
    middle = tuple(range(1, p))[: length - 1]
    return [Listed((x, *middle), (*middle, x), 1 / 2) for x in "xy"]


def lag_2b(p, length):
    middles = list(product(range(1, p), repeat=length - 1))
    return [
        Listed((x, *m), (*m, x), 1 / 2 / len(middles)) for x in "xy" for m in middles
    ]


def copies(num_symbols, num_items, delays):
    items = list(product(range(num_symbols), repeat=num_items))
    blanks = ["-"] * num_items
    return [
        Listed((*one, *["-"] * (delay - 1), "!", *blanks),
               (*["-"] * (num_items + delay), *one), 1 / len(items) / len(delays))
        for one in items for delay in delays
    ]  # fmt: skip


def bits(length, answer):
    strings = list(product((0, 1), repeat=length))
    return [at_end(one, answer(one), 1 / len(strings)) for one in strings]


def walks(length):
    moves = list(product((0, 1, -1), repeat=length))
    return [at_end(one, sum(one) % 5, 1 / len(moves)) for one in moves]


def sums(length):
    """Sums and products modulo 5; the last step of an even length is blank."""
    numbers = (length + 1) // 2
    every = list(product(range(5), *["+-*", range(5)] * (numbers - 1)))
    return [
        at_end((*one, *[None] * (length - len(one))), value_of(one) % 5, 1 / len(every))
        for one in every
    ]


def value_of(shown):
    """Two passes: products first, then what is left from the left."""
    terms = [shown[0]]
    for operation, number in zip(shown[1::2], shown[2::2], strict=True):
        if operation == "*":
            terms[-1] *= number
        else:
            terms.append(number if operation == "+" else -number)
    return sum(terms)


def xors(delay, length):
    strings = list(product((0, 1), repeat=length))
    return [
        Listed(one, tuple(one[t - delay // 2] ^ one[t - delay] if t >= delay else None
                          for t in range(length)), 1 / len(strings))
        for one in strings
    ]  # fmt: skip


def counted(letters, length):
    most = (length - 1) // len(letters)
    strings = ["".join(k * n for k in letters) for n in range(1, most + 1)]
    return [Listed(tuple("S" + s), tuple(s + "T"), 1 / most) for s in strings]


def predicted(strings):
    """Texts of which every next symbol is asked for."""
    return [Listed(tuple(s[:-1]), tuple(s[1:]), share) for s, share in strings.items()]


def flips(ignored, pairs):
    """All strings of the flip-flop language, the bit asked for at every r."""
    between, read = [*product("wri", repeat=pairs - 2)], (1 - ignored) / 2
    chances = {"w": read, "r": read, "i": ignored}
    found = []
    for instructions in [("w", *those, "r") for those in between]:
        free = [k for k, one in enumerate(instructions) if one != "r"]
        share = np.prod([chances[one] for one in instructions[1:-1]]) / 2 ** len(free)
        for drawn in product("01", repeat=len(free)):
            found.append(
                flipped(instructions, dict(zip(free, drawn, strict=True)), share)
            )
    return found


def flipped(instructions, bits, share):
    shown, asked, stored = [], [], None
    for k, one in enumerate(instructions):
        stored = bits[k] if one == "w" else stored
        shown += [one, stored if one == "r" else bits[k]]
        asked += [stored if one == "r" else None, None]
    return Listed(tuple(shown), tuple(asked), share)


def orders(num_symbols):
    classes = list(product("XY", repeat=num_symbols))
    return [at_end(one, one, 1 / len(classes)) for one in classes]


def now(shown, t):
    return shown[t]


def nothing(shown, t):
    return None


def everything(shown, t):
    return shown[: t + 1]


def but_the_outer(shown, t):
    """All but which outer symbol each of the strings has."""
    text = "".join(shown[: t + 1])
    texts = text.replace("EB", "E|B").split("|")
    return tuple(one[:1] + "?" + one[2:] if len(one) > 1 else one for one in texts)


def is_last(shown, t):
    return t == len(shown) - 1


def last_and_first(shown, t):
    return is_last(shown, t) and shown[0]


class Cost(NamedTuple):
    """A level that a task states, and how it comes about.

    Attributes:
      task: whose.
      length: of its sequences.
      level: the name of the plateau, None for the floor.
      sequences: all there are.
      known: `(shown, t)` -> what the predictor knows when it answers after step t.
      uncertainty: probabilities -> least loss.
    """

    task: lj.Task
    length: int
    level: str | None
    sequences: list[Listed]
    known: Callable[[Any, int], Hashable]
    uncertainty: Callable[[Any], float] = entropy


END, ALL, OUTER = "which step is the last", "everything", (
    "the grammar without the outer symbol")  # fmt: skip
UNITS = {"softmax": entropy, "logistic": variance}
STRINGS, STREAM = predicted(reber_strings(13)), predicted(beginnings(12, endless=True))


def costs_of_units(units) -> dict[str, Any]:
    a, b = lj.tasks.long_time_lag_2a(7, units), lj.tasks.long_time_lag_2b(4, units)
    string = lj.tasks.embedded_reber(units)
    stream = lj.tasks.continual_embedded_reber(units)
    two, three = lj.tasks.temporal_order(2, units), lj.tasks.temporal_order(3, units)
    c = lj.tasks.long_time_lag_2c(3, units)
    return {
        "2a": (a, 6, None, lag_2a(7, 6), now),
        "2a, short": (a, 2, None, lag_2a(7, 2), now),
        "2b": (b, 5, None, lag_2b(4, 5), now),
        "2b, short": (b, 2, None, lag_2b(4, 2), now),
        "2b, the end foreseen": (b, 5, END, lag_2b(4, 5), is_last),
        "2b, all": (b, 5, ALL, lag_2b(4, 5), last_and_first),
        "2c": (c, 9, None, orders(1), nothing),
        "order": (two, 22, None, orders(2), nothing),
        "order, one": (two, 22, "1 of 2 symbols", orders(2), lambda s, t: s[0]),
        "order of three": (three, 22, None, orders(3), nothing),
        "order of three, one": (three, 22, "1 of 3 symbols", orders(3),
                                lambda s, t: s[0]),
        "order of three, two": (three, 22, "2 of 3 symbols", orders(3),
                                lambda s, t: s[:2]),
        "reber": (string, 12, None, STRINGS, now),
        "reber, the grammar": (string, 12, OUTER, STRINGS, but_the_outer),
        "reber, all": (string, 12, ALL, STRINGS, everything),
        "stream": (stream, 11, None, STREAM, now),
        "stream, the grammar": (stream, 11, OUTER, STREAM, but_the_outer),
        "stream, all": (stream, 11, ALL, STREAM, everything),
    }  # fmt: skip


OTHERS: dict[str, Any] = {
    "copy": (lj.tasks.copy_memory(3, 2), 9, None, copies(3, 2, [5]),
             lambda s, t: t >= len(s) - 2),
    "copy, variable": (lj.tasks.copy_memory_variable(3, 2), 9, None,
                       copies(3, 2, [1, 2, 3, 4, 5]), lambda s, t: t >= len(s) - 2),
    "xor": (lj.tasks.delayed_xor(2), 5, None, xors(2, 5), now),
    "xor, one bit": (lj.tasks.delayed_xor(2), 5, "one of two bits", xors(2, 5),
                     lambda s, t: s[t - 1]),
    "flip-flop": (lj.tasks.flip_flop(0.6), 8, None, flips(0.6, 4), now),
    "flip-flop, a pair": (lj.tasks.flip_flop(0.6), 11, "the pair before",
                          flips(0.6, 5), lambda s, t: s[t - 2 : t]),
    "words": (SWAPS, 4, None, words(4), now),
    "words, two": (SWAPS, 4, "the last two", words(4),
                   lambda s, t: s[max(0, t - 1) : t + 1]),
    "words of one": (SWAPS, 1, None, words(1), now),
    "selective": (lj.tasks.selective_copy(3, 3), 7, None, scattered(3, 3, 7), now),
    "selective, one": (lj.tasks.selective_copy(3, 3), 7, "the last one",
                       scattered(3, 3, 7),
                       lambda s, t: (t, items_in(s)[2]) if t == 6 else None),
    "selective, two": (lj.tasks.selective_copy(3, 3), 7, "the last two",
                       scattered(3, 3, 7),
                       lambda s, t: (t, *items_in(s)[1:]) if t > 4 else None),
    "recall": (RECALL, 8, None, recalls(3, 4), now),
    "recall, a pair": (RECALL, 8, "one pair", recalls(3, 4),
                       lambda s, t: (s[t] == s[0], s[1])),
    "recall, values": (RECALL, 8, "values, no keys", recalls(3, 4),
                       lambda s, t: frozenset(s[1:4:2])),
    "induction": (lj.tasks.induction_head(3), 6, None, marked(3, 6), now),
    "induction, one": (lj.tasks.induction_head(3), 6, "the last symbol",
                       marked(3, 6), lambda s, t: s[-2]),
    "induction, all": (lj.tasks.induction_head(3), 6, "symbols, no marks",
                       marked(3, 6), lambda s, t: tuple(sorted(map(str, s)))),
    "keep": (lj.tasks.keep_nth(3, 3), 4, None, firsts(3, 3), now),
    "keep, one": (lj.tasks.keep_nth(3, 3), 4, "one of the first n", firsts(3, 3),
                  lambda s, t: s[1 + s[0]]),
    "keep, all": (lj.tasks.keep_nth(3, 3), 4, "the first n, no order",
                  firsts(3, 3), lambda s, t: tuple(sorted(s[1:4]))),
    "noisy": (lj.tasks.noisy_recall(2, 3, 1, 0.3), 8, None,
              noisy(2, 3, 0.3, 3), now),
    "noisy, a slot": (lj.tasks.noisy_recall(2, 3, 1, 0.3), 8, "the last slot",
                      noisy(2, 3, 0.3, 3), lambda s, t: s[-2:]),
    "noisy, a pair": (lj.tasks.noisy_recall(2, 3, 1, 0.3), 8, "the last pair",
                      noisy(2, 3, 0.3, 3), last_pair),
    "parity of one": (lj.TASKS["parity"], 1, None, bits(1, sum), now),
    "parity of two": (lj.TASKS["parity"], 2, None,
                      bits(2, lambda s: sum(s) % 2), now),
    "parity, all but one": (lj.TASKS["parity"], 4, "all bits but one",
                            bits(4, lambda s: sum(s) % 2), lambda s, t: s[1:]),
    "pairs of one": (lj.TASKS["even_pairs"], 1, None,
                     bits(1, lambda s: s[0] == s[-1]), now),
    "pairs of two": (lj.TASKS["even_pairs"], 2, None,
                     bits(2, lambda s: s[0] == s[-1]), now),
    "cycle": (lj.TASKS["cycle_navigation"], 4, None, walks(4), now),
    "cycle, two": (lj.TASKS["cycle_navigation"], 4, "the last two", walks(4),
                   lambda s, t: s[-2:]),
    "arithmetic": (lj.TASKS["modular_arithmetic"], 5, None, sums(5), now),
    "arithmetic, two": (lj.TASKS["modular_arithmetic"], 5, "the last two", sums(5),
                        lambda s, t: s[-2:]),
    "arithmetic, blank": (lj.TASKS["modular_arithmetic"], 4, None, sums(4), now),
    "arithmetic, blank, two": (lj.TASKS["modular_arithmetic"], 4, "the last two",
                               sums(4), lambda s, t: s[-2:]),
    "anbn": (lj.TASKS["anbn"], 10, None, counted("ab", 10), now),
    "anbn, all": (lj.TASKS["anbn"], 10, ALL, counted("ab", 10), everything),
    "anbncn": (lj.TASKS["anbncn"], 13, None, counted("abc", 13), now),
    "anbncn, all": (lj.TASKS["anbncn"], 13, ALL, counted("abc", 13), everything),
    "pascanu": (lj.TASKS["temporal_order_pascanu"], 20, None, orders(2), nothing),
    "pascanu, one": (lj.TASKS["temporal_order_pascanu"], 20, "1 of 2 symbols",
                     orders(2), lambda s, t: s[0]),
}  # fmt: skip

COSTS = {
    f"{name}, {units}": Cost(*cost)._replace(uncertainty=uncertainty)
    for units, uncertainty in UNITS.items()
    for name, cost in costs_of_units(units).items()
} | {name: Cost(*cost) for name, cost in OTHERS.items()}


@pytest.mark.parametrize("name", COSTS)
def test_a_level_is_the_least_loss_of_who_knows_so_much(name):
    task, length, level, sequences, known, uncertainty = COSTS[name]
    stated = task.floor(length) if level is None else task.plateaus(length)[level]
    assert_allclose(sum(one.chance for one in sequences), 1)
    wanted = least_loss(sequences, known, uncertainty)
    assert_allclose(stated, wanted, rtol=1e-12, atol=1e-15)


def test_plateaus_are_those_of_the_docstrings_and_no_others():
    for name, levels in {
        "nature_show": [], "adding": ["one of two numbers"],
        "adding_1997": ["one of two numbers"], "multiplication": ["one of two numbers"],
        "temporal_order": ["1 of 2 symbols"],
        "temporal_order_3": ["1 of 3 symbols", "2 of 3 symbols"],
        "temporal_order_pascanu": ["1 of 2 symbols"], "long_time_lag_2a": [],
        "long_time_lag_2b": [END, ALL], "long_time_lag_2c": [], "two_sequence_3a": [],
        "two_sequence_3b": [ALL], "two_sequence_3c": [ALL],
        "embedded_reber": [OUTER, ALL], "continual_embedded_reber": [OUTER, ALL],
        "copy_memory": [], "copy_memory_variable": [], "delayed_xor": [
            "one of two bits"], "latch": [], "parity": ["all bits but one"],
        "even_pairs": [], "cycle_navigation": ["the last two"],
        "modular_arithmetic": ["the last two"], "anbn": [ALL], "anbncn": [ALL],
        "sequential_digits": [], "permuted_digits": [],
        "flip_flop": ["the pair before"],
        "word_problem_s3": ["the last two"], "word_problem_a5": ["the last two"],
        "selective_copy": ["the last one", "the last two"],
        "mqar": ["one pair", "values, no keys"],
        "induction_head": ["the last symbol", "symbols, no marks"],
        "keep_nth": ["one of the first n", "the first n, no order"],
        "noisy_recall": ["the last slot", "the last pair"],
    }.items():  # fmt: skip
        length = 64 if name.endswith("digits") else 22
        assert list(lj.TASKS[name].plateaus(length)) == levels
    assert lj.TASKS["parity"].plateaus(1) == {}
    assert list(lj.TASKS["parity"].plateaus(2)) == ["all bits but one"]


# ---------------------------------------------------------------------------
# Numbers
# ---------------------------------------------------------------------------

THIRD, HALF = Fraction(1, 3), Fraction(1, 2)


class Number(NamedTuple):
    """Mean and mean square of a number."""

    mean: Fraction
    square: Fraction


def neutral_cases(length):
    """(is X1 neutral, is X2 neutral) -> chance, from all pairs of marks."""
    half = -(-10 * length // 11) // 2
    law: defaultdict[tuple[bool, bool], Fraction] = defaultdict(Fraction)
    for first in range(min(10, half)):
        for second in set(range(half)) - {first}:
            law[first == 0, second == 0] += Fraction(1, min(10, half) * (half - 1))
    return law


def expected(length, value, uniform, neutral):
    """The mean over all cases of value(X1, X2), given their means and squares."""
    return sum(
        chance * value(*(neutral if is_neutral else uniform for is_neutral in case))
        for case, chance in neutral_cases(length).items()
    )


def variance_left(length, factor_of, uniform, neutral):
    """The mean of the variance of X2, times a factor of X1, once X1 is known."""
    whole = Fraction(0)
    for is_neutral in (False, True):
        cases = {c: p for c, p in neutral_cases(length).items() if c[0] == is_neutral}
        chance = sum(cases.values())
        mean, square = (
            sum(p / chance * getattr(neutral if c[1] else uniform, of)
                for c, p in cases.items()) for of in ("mean", "square"))  # fmt: skip
        factor = factor_of(neutral if is_neutral else uniform)
        whole += chance * factor * (square - mean**2)
    return whole


@pytest.mark.parametrize("length", [6, 12, 22, 110])
def test_the_levels_of_1997_are_those_of_all_pairs_of_marks(length):
    uniform, zero = Number(Fraction(0), THIRD), Number(Fraction(0), Fraction(0))
    square = expected(length, lambda x, y: x.square + y.square, uniform, zero)
    assert_allclose(adding_1997.sum_floor(length), float(square / 16), rtol=1e-13)
    left = variance_left(length, lambda x: 1, uniform, zero)
    (plateau,) = adding_1997.sum_plateaus(length).values()
    assert_allclose(plateau, float(left / 16), rtol=1e-13)

    uniform, one = Number(HALF, THIRD), Number(Fraction(1), Fraction(1))
    mean = expected(length, lambda x, y: x.mean * y.mean, uniform, one)
    square = expected(length, lambda x, y: x.square * y.square, uniform, one)
    floor = float(square - mean**2)
    assert_allclose(adding_1997.product_floor(length), floor, rtol=1e-13)
    left = variance_left(length, lambda x: x.square, uniform, one)
    (plateau,) = adding_1997.product_plateaus(length).values()
    assert_allclose(plateau, float(left), rtol=1e-13)


def test_the_numbers_of_the_docstrings_are_the_tasks():
    for name, length, floor, plateaus in [
        ("adding", 50, 1 / 6, [1 / 12]), ("adding_1997", 110, 0.0392, [0.0205]),
        ("multiplication", 110, 0.0592, [0.0343]), ("latch", 50, 0.64, []),
        ("two_sequence_3a", 110, 1 / 4, []), ("two_sequence_3c", 110, 0.19, [0.1]),
        ("nature_show", 20, 0.8 * LN2, []), ("delayed_xor", 20, LN2, [LN2]),
        ("temporal_order", 110, 2 * LN2, [LN2]),
        ("temporal_order_3", 110, 3 * LN2, [2 * LN2, LN2]),
        ("temporal_order_pascanu", 50, 2 * LN2, [LN2]),
        ("long_time_lag_2a", 100, LN2 / 100, []), ("long_time_lag_2c", 103, LN2, []),
        ("copy_memory", 120, 10 * np.log(8) / 120, []),
        ("copy_memory_variable", 120, 10 * np.log(8) / 70.5, []),
        ("anbn", 21, None, [np.log(10) / 12]),
        ("long_time_lag_2b", 100, None,
         [(99 * np.log(99) + LN2) / 100, 99 * np.log(99) / 100]),
    ]:  # fmt: skip
        task = lj.TASKS[name]
        if floor is not None:
            assert_allclose(task.floor(length), floor, atol=5e-5, err_msg=name)
        assert_allclose(list(task.plateaus(length).values()), plateaus, atol=5e-5)
    assert_allclose(lj.tasks.nature_show("vectors", 0.5).floor(9), LN2 / 2)


@pytest.mark.parametrize("num_informative", [1, 3])
def test_the_best_of_3b_is_the_error_of_the_conditional_mean(num_informative):
    """The sum s of the numbers is N(n, 0.2 n) in class 1, N(-n, 0.2 n) in class 0."""
    spread = (0.2 * num_informative) ** 0.5

    def error(s):
        density = np.exp(-(((s - num_informative) / spread) ** 2) / 2)
        wrong = 1 / (1 + np.exp(2 * s / 0.2))  # P(class 0 | s)
        return density / spread / (2 * np.pi) ** 0.5 * wrong**2

    ends = num_informative - 12 * spread, num_informative + 12 * spread
    wanted, _ = quad(error, *ends, points=[0.0], epsabs=1e-15, limit=200)
    task = lj.tasks.two_sequence("3b", num_informative)
    assert_allclose(task.plateaus(33)["everything"], wanted, rtol=1e-7)
    assert task.floor(33) == lj.tasks.two_sequence("3a").floor(33) == 1 / 4


def test_one_in_216_would_have_been_longer_than_2c_allows():
    cut = 1 - sum(0.1 * 0.9**k for k in geometric(50))
    assert round(1 / cut) == 216
