"""What guessing costs: floors and plateaus, exactly, from every sequence there is.

At small sizes all sequences of a task can be listed with their probabilities. The least
loss of who knows a part of one (`known`) is then a sum over what may follow from it,
and must be the number that the task states, to rounding.
"""

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tasks.languages import beginnings, reber_strings
from tasks.listed import (
    RECALL,
    SWAPS,
    Listed,
    bits,
    bracketed,
    but_the_first_number,
    but_the_outer,
    copies,
    counted,
    everything,
    firsts,
    flips,
    hop_texts,
    hopped,
    is_last,
    items_in,
    lag_2a,
    lag_2b,
    last_and_first,
    last_pair,
    marked,
    noisy,
    nothing,
    now,
    orders,
    predicted,
    recalls,
    scattered,
    strings,
    sums,
    walks,
    words,
    xors,
)

import lstm_jax as lj

LN2 = np.log(2)


def entropy(shares):
    return -sum(p * np.log(p) for p in shares if p > 0)


def variance(shares):
    return sum(p * (1 - p) for p in shares)


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
    **{
        f"{hops} hops, {level or 'floor'}": (
            lj.tasks.k_hop(hops, 3), 7, level, hop_texts(hops, 3, 7), known)
        for hops in (1, 2, 3)
        for level, known in {
            None: now,
            "which step": lambda s, t: (t, s[t]),
            "one hop less": lambda s, t, k=hops - 1: (t, s[t], hopped(s, t, k)),
        }.items() if hops > 1 or level != "one hop less"
    },
    "parity of one": (lj.TASKS["parity"], 1, None, bits(1, sum), now),
    "parity of two": (lj.TASKS["parity"], 2, None,
                      bits(2, lambda s: sum(s) % 2), now),
    "parity, all but one": (lj.TASKS["parity"], 4, "all bits but one",
                            bits(4, lambda s: sum(s) % 2), lambda s, t: s[1:]),
    **{
        f"majority of {length}, {level or 'floor'}": (
            lj.TASKS["majority"], length, level,
            bits(length, lambda s: 2 * sum(s) > len(s)), known)
        for length in (7, 8)
        for level, known in {
            None: now,
            "the last two": lambda s, t: s[-2:],
            "the last half": lambda s, t: s[-(len(s) // 2) :],
            "all bits but one": lambda s, t: s[1:],
        }.items()
    },
    "sorted": (lj.tasks.bucket_sort(3), 9, None, strings(3, 4, sorted), now),
    "sorted, the step": (lj.tasks.bucket_sort(3), 8, "which step",
                         strings(3, 4, sorted), lambda s, t: t),
    "sorted, one": (lj.tasks.bucket_sort(3), 8, "one symbol",
                    strings(3, 4, sorted), lambda s, t: (t, s[1])),
    "reversed": (lj.tasks.reverse_string(3), 9, None, strings(3, 4, reversed), now),
    "reversed, one": (lj.tasks.reverse_string(3), 8, "the last one",
                      strings(3, 4, reversed), lambda s, t: (t, s[3])),
    "reversed, two": (lj.tasks.reverse_string(3), 8, "the last two",
                      strings(3, 4, reversed), lambda s, t: (t, s[2:4])),
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
    **{
        f"brackets of {length}, {level or 'floor'}": (
            lj.TASKS["modular_arithmetic_brackets"], length, level,
            bracketed(length), known)
        for length in (5, 6, 9)
        for level, known in {
            None: now,
            "the last two": lambda s, t: s[-2:],
            "all numbers but the first": lambda s, t: but_the_first_number(s),
        }.items()
    },
    **{
        f"brackets of {length}": (lj.TASKS["modular_arithmetic_brackets"], length, None,
                                  bracketed(length), now) for length in (1, 2, 3, 4)
    },
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
        "k_hop": ["which step", "one hop less"],
        "modular_arithmetic_brackets": ["the last two", "all numbers but the first"],
        "majority": ["the last two", "the last half", "all bits but one"],
        "bucket_sort": ["which step", "one symbol"],
        "reverse_string": ["the last one", "the last two"],
    }.items():  # fmt: skip
        length = 64 if name.endswith("digits") else 22
        assert list(lj.TASKS[name].plateaus(length)) == levels
    assert lj.TASKS["parity"].plateaus(1) == lj.TASKS["majority"].plateaus(2) == {}
    assert lj.TASKS["majority"].floor(1) == 0
    assert list(lj.TASKS["parity"].plateaus(2)) == ["all bits but one"]
