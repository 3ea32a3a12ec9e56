"""What a flag may hold: the value that its text stands for, and what else to say."""

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from absl import flags

from lstm_jax.checks import check_number

SWITCH = flags.BooleanParser()
INT32_MAX = 2**31 - 1
SEED_MAX = 2**32 - 1
FLOAT32_TINY, FLOAT32_MAX = (
    float(getattr(np.finfo(np.float32), of)) for of in ("tiny", "max")
)


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a field may hold.

    Attributes:
      allowed: the end of the sentence "it must be ...".
      parse: turns the text of a flag into a value, or raises ValueError.
      holds: whether a value is allowed.
      hint: what --help says about it.
    """

    allowed: str
    parse: Callable[[str], Any]
    holds: Callable[[Any], bool]
    hint: str


def integer(*, minimum: int, maximum: int = INT32_MAX) -> Kind:
    """An integer from `minimum` to `maximum`, by default the longest axis of JAX."""

    def holds(value):
        return isinstance(value, int) and minimum <= value <= maximum

    least = f"an integer, at least {minimum}"
    allowed = f"{least} and at most {maximum}"
    # Beyond the longest axis an end is the format's, and --help need not say it.
    return Kind(allowed, int, holds, allowed if maximum < INT32_MAX else least)


def seed() -> Kind:
    """A seed: `jax.random.key` uses 32 bits and drops the rest."""
    return integer(minimum=0, maximum=SEED_MAX)


def switch() -> Kind:
    """True or False; as a flag --name, --noname or --name=true."""
    allowed = "true or false"
    return Kind(allowed, SWITCH.parse, lambda value: isinstance(value, bool), allowed)


def number(*, above: int | float = -math.inf, least: int | float = -math.inf) -> Kind:
    """A finite number above `above`, at least `least`, that float32 can hold."""
    limit = "" if above == -math.inf else f" above {above:g}"
    limit += "" if least == -math.inf else f", at least {least:g},"

    def holds(value):
        return (
            isinstance(value, int | float)
            and above < value
            and least <= value
            and (value == 0 or FLOAT32_TINY <= abs(value) <= FLOAT32_MAX)
        )

    hint = f"a finite number{limit}"
    return Kind(f"{hint} that float32 can hold", float, holds, hint)


def number_in(interval: str) -> Kind:
    """A number in an interval such as "(0, 1]"."""
    allowed = f"a number in {interval}"

    def holds(value):
        try:
            check_number("value", value, interval)
        except (TypeError, ValueError):
            return False
        return True

    return Kind(allowed, float, holds, allowed)


def one_of(names: Iterable[str]) -> Kind:
    """One of these names."""
    names = tuple(names)
    allowed = f"one of {', '.join(names)}"
    return Kind(allowed, str, lambda value: value in names, allowed)


def list_of(kind: Kind) -> Kind:
    """A tuple of one or more different values, separated by commas in a flag."""

    def parse(text):
        return tuple(kind.parse(part.strip()) for part in text.split(","))

    def holds(values):
        return (
            isinstance(values, tuple)
            and len(values) > 0
            and all(kind.holds(value) for value in values)
            and len(set(values)) == len(values)
        )

    several = "different values with commas, each {}".format
    return Kind(several(kind.allowed), parse, holds, several(kind.hint))


def either(word: str, kind: Kind) -> Kind:
    """One special word, or a value."""

    def parse(text):
        return word if text == word else kind.parse(text)

    def holds(value):
        return value == word or kind.holds(value)

    return Kind(
        f"{kind.allowed}, or {word!r}", parse, holds, f"{kind.hint}, or {word!r}"
    )


def optional(kind: Kind) -> Kind:
    """A value, or None if none was given."""
    return dataclasses.replace(
        kind, holds=lambda value: value is None or kind.holds(value)
    )


def text() -> Kind:
    """Any text that is not empty."""

    def holds(value):
        return isinstance(value, str) and value != ""

    return Kind("text", str, holds, "text")
