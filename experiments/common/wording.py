"""Printed text: numbers as people write them, names without control characters."""

import math
from collections.abc import Iterable
from typing import Any, SupportsFloat

from lstm_jax.files import printable as printable

LOST = "lost at once"  # a gradient that is zero already one step back
OVERFLOW = "overflow"
MOST_CHARACTERS = 1000  # of a message; names in a file may have millions


def power(log_value: SupportsFloat) -> str:
    """Returns exp(log_value) with two digits, however small or large.

    Plain from 0.001 to 99, else with an exponent. -inf is "nothing".
    """
    log = float(log_value)
    if log == -math.inf:
        return "nothing"
    if not math.isfinite(log):
        return OVERFLOW
    exponent = math.floor(log / math.log(10))
    mantissa = math.exp(log - exponent * math.log(10))
    digits, carried = f"{mantissa:.1e}".split("e")
    exponent += int(carried)
    if -3 <= exponent < 2:
        return f"{float(digits) * 10.0**exponent:.2g}"
    return f"{digits}e{exponent:+03d}"


def steps(count: SupportsFloat, otherwise: str = "all") -> str:
    """Returns a number of steps as text; `otherwise` for inf, "-" for NaN."""
    value = float(count)
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return otherwise
    if value >= 1e6:
        return power(math.log(value))
    text = f"{value:.1f}"
    return text if float(text) < 100 else f"{value:.0f}"


def rate(nats: SupportsFloat, decimals: int = 3) -> str:
    """Returns nats per step with a sign, never -0; NaN is an overflow."""
    value = float(nats)
    return OVERFLOW if math.isnan(value) else f"{value:+z.{decimals}f}"


def half_life(nats: SupportsFloat, otherwise: str = "never") -> str:
    """Returns the steps in which half is lost, at this rate in nats per step."""
    value = float(nats)
    if value == -math.inf:
        return LOST
    return otherwise if value >= 0 else steps(math.log(2) / -value, otherwise)


def told_apart(values: Iterable[Any], digits: int = 6) -> list[str]:
    """Returns a text for each value, with just enough digits to tell them all apart.

    Numbers that have them get at least `digits` digits; equal values get equal texts,
    and words stay as they are.
    """
    values = list(values)
    for count in range(digits, 17):
        texts = [f"{v:.{count}g}" if isinstance(v, float) else str(v) for v in values]
        if len(set(texts)) == len(set(values)):
            return texts
    return list(map(str, values))


def one_line(text: str) -> str:
    """Returns a printable message, without its middle if it is very long."""
    line = printable(text)
    half = MOST_CHARACTERS // 2
    return line if len(line) <= 2 * half else f"{line[:half]} ... {line[-half:]}"
