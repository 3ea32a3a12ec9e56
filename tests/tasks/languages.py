"""Laws of what tasks draw, listed outcome by outcome from their definitions alone."""

from collections import defaultdict


def marks_of_1997(length):
    """The first mark in 10 steps (T/2 where that is less), the second in T/2 others.

    A mark at step 0 is hidden: that step's mark stays -1.
    """
    half = -(-10 * length // 11) // 2
    law: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for first in range(min(10, half)):
        for second in set(range(half)) - {first}:
            seen = tuple(sorted({first, second} - {0}))
            law[seen] += 1 / min(10, half) / (half - 1)
    return dict(law)


def geometric(largest):
    """k distractors more, each with probability 9/10; none beyond the largest."""
    shares = {k: 0.1 * 0.9**k for k in range(largest + 1)}
    return {k: share / sum(shares.values()) for k, share in shares.items()}


REBER = {
    0: [("T", 1), ("P", 2)], 1: [("S", 1), ("X", 3)], 2: [("T", 2), ("V", 4)],
    3: [("X", 2), ("S", 5)], 4: [("P", 3), ("V", 5)],
}  # fmt: skip
"""Reber's graph between its B and its E, as the papers draw it; 5 is its end."""


def beginnings(most_symbols, *, endless):
    """Embedded strings, or a stream of them, up to so many symbols: text -> chance.

    Of single strings only those that end in time.
    """
    found: defaultdict[str, float] = defaultdict(float)
    begun = [("", "B", 1.0)]
    while begun:
        text, place, share = begun.pop()
        if place == "end" and not endless:
            found[text] += share
        elif len(text) < most_symbols:
            ways = reber_ways(text, "B" if place == "end" else place)
            begun += [(text + s, to, share / len(ways)) for s, to in ways]
        elif endless:
            found[text] += share
    return found


def reber_ways(text, place):
    """What may follow, and where it leads: the outer frame, or the inner graph."""
    outer = text[text.rfind("EB") + 2 :][:1] if "EB" in text else text[1:2]
    frame = {
        "B": [("B", "outer")], "outer": [("T", "inner"), ("P", "inner")],
        "inner": [("B", 0)], 5: [("E", "outer again")],
        "outer again": [(outer, "last")], "last": [("E", "end")],
    }  # fmt: skip
    return frame.get(place) or REBER[place]


def reber_strings(most_symbols):
    """Embedded strings of at most so many symbols, their frequencies kept."""
    found = beginnings(most_symbols, endless=False)
    return {text: share / sum(found.values()) for text, share in found.items()}
