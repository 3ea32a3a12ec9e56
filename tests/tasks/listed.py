"""Every sequence of a task, at small sizes, and what a predictor may know of one."""

from collections.abc import Hashable
from itertools import combinations, pairwise, permutations, product
from operator import add, mul, sub
from typing import Any, NamedTuple

import numpy as np

import lstm_jax as lj


class Listed(NamedTuple):
    """One sequence: what it shows, what it asks at every step (None: nothing)."""

    shown: tuple[Hashable, ...]
    asked: tuple[Hashable, ...]
    chance: float


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


def hopped(shown, t, hops):
    """What so many hops from step t reach, None if nothing."""
    for _ in range(hops):
        before = [k for k in range(t) if shown[k] == shown[t]]
        if not before:
            return None
        t = before[-1] + 1
    return shown[t]


def hop_texts(hops, num_symbols, length):
    """All texts without a symbol beside itself, what is reached asked at every step."""
    texts = [
        s for s in product(range(num_symbols), repeat=length)
        if all(one != other for one, other in pairwise(s))
    ]  # fmt: skip
    return [
        Listed(s, tuple(str(hopped(s, t, hops)) for t in range(length)), 1 / len(texts))
        for s in texts
    ]


def strings(num_symbols, many, answer):
    """All strings and as many markers, at which their symbols are asked for anew."""
    every = [*product(range(num_symbols), repeat=many)]
    return [
        Listed((*s, *"!" * many), (*[None] * many, *answer(s)), 1 / len(every))
        for s in every
    ]


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


def bracketed(length):
    """All expressions with brackets, and their values."""
    return [at_end(s, value % 5, chance) for s, value, chance in parts(length)]


def parts(length):
    """Expressions as (shown, value, chance)."""
    if length < 5:
        before, sign = ("(",) * (length > 2), ("-",) * (length % 2 == 0)
        after = (")",) * (length > 2)
        value = {0: -1, 1: 1}[length % 2]
        return [((*before, *sign, d, *after), value * d, 1 / 5) for d in range(5)]
    found = []
    for left in range(1, length - 3):
        for one, other in product(parts(left), parts(length - 3 - left)):
            chance = one[2] * other[2] / 3 / (length - 4)
            for sign, operation in {"+": add, "-": sub, "*": mul}.items():
                shown = ("(", *one[0], sign, *other[0], ")")
                found.append((shown, operation(one[1], other[1]), chance))
    return found


def but_the_first_number(shown):
    first = next(k for k, one in enumerate(shown) if one in range(5))
    return shown[:first], shown[first + 1 :]


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
