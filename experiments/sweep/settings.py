"""The text of --sweep, and the settings it stands for.

learning_rate=1e-3,3e-3;cell=lstm,gru     values: every combination, the last field
                                          fastest; with --random, draws from them
learning_rate=log:1e-4:1e-2               a range, for --random: uniform in the
                                          logarithm, or with uniform: in the value
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from experiments.common.cli import ConfigError, Kind

Setting = dict[str, Any]
"""A value for each swept field."""

MOST_SETTINGS = 10_000  # each of them is trained
DIGITS = 4  # of drawn numbers: short enough to be given to --sweep again
DRAWS_PER_SETTING = 100  # after this many, no new setting is likely to be left


class Range(NamedTuple):
    """Numbers from `low` to `high`, drawn uniformly in the logarithm or the value."""

    scale: str  # "log" or "uniform"
    low: int | float
    high: int | float  # if both ends are integers, so are the draws


Swept = dict[str, tuple | Range]
"""The values or the range of each swept field."""


def parse(text: str, kinds: Mapping[str, Kind]) -> Swept:
    """Returns the values or the range of each field in a text, as described above.

    `kinds` says what each field that may be swept can hold.

    Raises:
      ConfigError: a field is unknown or given twice, or a value is missing or not
        allowed.
    """
    swept: Swept = {}
    for part in text.split(";"):
        name, equals, values = part.strip().partition("=")
        if not equals:
            raise ConfigError(
                f"sweep: got {part!r}; it must be FIELD=VALUE,VALUE,..., with "
                "semicolons between fields"
            )
        if name not in kinds:
            raise ConfigError(
                f"sweep: got the field {name!r}; it must be one of {', '.join(kinds)}"
            )
        if name in swept:
            raise ConfigError(
                f"sweep: got the field {name!r} twice; it must be given once"
            )
        swept[name] = _values(name, values, kinds[name])
    return swept


def _values(name: str, text: str, kind: Kind) -> tuple | Range:
    if not text:
        raise ConfigError(
            f"{name}: got no value to sweep; it must be {kind.allowed}, or several "
            "with commas"
        )
    scale, colon, ends = text.partition(":")
    if colon:
        return _range(name, text, scale, ends.split(":"), kind)
    values = tuple(_value(name, one.strip(), kind) for one in text.split(","))
    if len(set(values)) < len(values):
        raise ConfigError(f"{name}: got {text}; its values must be different")
    return values


def _value(name: str, text: str, kind: Kind) -> Any:
    try:
        value = kind.parse(text)
    except ValueError:
        value = None
    if value is None or not kind.holds(value):
        raise ConfigError(f"{name}: got {text!r}; it must be {kind.allowed}")
    return value


def _range(name: str, text: str, scale: str, ends: list[str], kind: Kind) -> Range:
    if scale not in ("log", "uniform") or len(ends) != 2:
        raise ConfigError(
            f"{name}: got {text!r}; a range must be log:LOW:HIGH or uniform:LOW:HIGH"
        )
    low, high = (_value(name, end, kind) for end in ends)
    if isinstance(low, str) or isinstance(high, str):
        raise ConfigError(f"{name}: got {text!r}; the ends must be numbers")
    if not low < high:
        raise ConfigError(f"{name}: got {text!r}; the first end must be the smaller")
    if scale == "log" and low <= 0:
        raise ConfigError(f"{name}: got {text!r}; the ends of log must be above 0")
    return Range(scale, low, high)


def grid(swept: Swept) -> list[Setting]:
    """Returns all combinations, the last field fastest; refuses ranges or too many."""
    values = []
    for name, given in swept.items():
        if isinstance(given, Range):
            raise ConfigError(
                f"{name}: got the range {':'.join(map(str, given))}; it must be values "
                "with commas, or --random must say how many settings to draw"
            )
        values.append(given)
    count = math.prod(map(len, values))
    if count > MOST_SETTINGS:
        raise ConfigError(
            f"sweep: got {count} settings; it must be at most {MOST_SETTINGS}, or "
            "--random must say how many of them to draw"
        )
    return [
        dict(zip(swept, combined, strict=True))
        for combined in itertools.product(*values)
    ]


def drawn(swept: Swept, count: int, seed: int) -> list[Setting]:
    """Returns `count` different settings, which follow from the seed alone.

    Raises:
      ConfigError: there are fewer.
    """
    generator = np.random.default_rng(seed)
    found: list[Setting] = []
    for _ in range(DRAWS_PER_SETTING * count):
        setting = {name: _draw(generator, given) for name, given in swept.items()}
        if setting not in found:
            found.append(setting)
        if len(found) == count:
            return found
    raise ConfigError(
        f"random: got {count}; it must be at most {len(found)}, because --sweep holds "
        "no more different settings"
    )


def _draw(generator: np.random.Generator, given: tuple | Range) -> Any:
    if not isinstance(given, Range):
        return given[generator.integers(len(given))]
    if given.scale == "log":
        value = math.exp(generator.uniform(math.log(given.low), math.log(given.high)))
    else:
        value = generator.uniform(given.low, given.high)
    if isinstance(given.low, int):
        return min(max(round(value), given.low), given.high)
    return min(max(float(f"{value:.{DIGITS}g}"), given.low), given.high)
