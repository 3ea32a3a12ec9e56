"""Checks: an argument that makes no sense is refused in one line, before any work.

    name: got VALUE; it must be WHAT IS ALLOWED

One function for each kind of argument: a TypeError if it is of the wrong kind, a
ValueError if only its value is wrong. A traced number has no value yet and passes.
"""

import inspect
import math
import operator
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

Value = TypeVar("Value")


class Named(dict[str, Value]):
    """A table by name; asked for a name it does not have, it lists those it has."""

    def __init__(self, what: str, entries: Mapping[str, Value]) -> None:
        """Makes the table; messages call an entry `what`."""
        super().__init__(entries)
        self.what = what

    def __missing__(self, name: Any) -> Value:
        """Refuses a name that is not in the table."""
        raise KeyError(f"{self.what}: got {shown(name)}; allowed: {', '.join(self)}")


def check_type(name: str, value: Any, kinds: Any, wanted: str) -> None:
    """Refuses a value that is not an instance of one of the kinds."""
    if not isinstance(value, kinds):
        raise TypeError(f"{name}: got {shown(value)}; it must be {wanted}")


def check_function(name: str, value: Any, wanted: str) -> None:
    """Refuses anything that cannot be called."""
    if not callable(value):
        raise TypeError(f"{name}: got {shown(value)}; it must be a function {wanted}")


def check_flag(name: str, value: Any) -> None:
    """Refuses anything but True and False."""
    check_type(name, value, bool | np.bool_, "True or False")


def check_array(name: str, value: Any, wanted: str) -> None:
    """Refuses anything but an array, such as a list, or a carry in place of a leaf."""
    check_type(name, value, jax.Array | np.ndarray, wanted)


def check_key(name: str, value: Any) -> None:
    """Refuses anything but one key; old-style keys, uint32[2], are let through."""
    array = isinstance(value, jax.Array | np.ndarray)
    if array and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        one = value.ndim == 0
    else:
        one = array and value.dtype == np.uint32 and value.ndim == 1
    if not one:
        raise TypeError(
            f"{name}: got {shown(value)}; it must be one key, as jax.random.key(0)"
        )


def check_floating(name: str, dtype: Any) -> None:
    """Refuses anything but a real floating dtype."""
    try:
        known = jnp.issubdtype(jnp.dtype(dtype), jnp.floating)
    except TypeError:
        known = False
    if not known:
        raise TypeError(
            f"{name}: got {shown(dtype)}; it must be a floating dtype, as jnp.float32"
        )


def as_array(name: str, value: Any, wanted: str = "an array") -> jax.Array:
    """Returns `jnp.asarray(value)`; refuses None and whatever is not an array."""
    refusal = TypeError(f"{name}: got {shown(value)}; it must be {wanted}")
    if hasattr(value, "_fields"):  # leaves of equal shapes would be stacked
        raise refusal
    try:
        return jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise refusal from error


def check_choice(name: str, value: Any, allowed: Collection[str]) -> None:
    """Refuses a name that is not among those allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}: got {shown(value)}; allowed: {', '.join(allowed)}")


def check_given(name: str, value: Any, allowed: bool, reason: str) -> None:
    """Refuses an option that was given but would have no effect."""
    if value is not None and not allowed:
        raise ValueError(f"{name}: it was given, but {reason}")


def check_whole(
    name: str, value: Any, smallest: int, largest: int | None = None, of: str = ""
) -> int:
    """Returns a whole number as an int; refuses others, and those out of range.

    `of` says in the message what sets the range.
    """
    wanted = f"at least {smallest}"
    if largest is not None:
        wanted = f"in [{smallest}, {largest}]" if largest > smallest else f"{smallest}"
    wanted += f", {of}" if of else ""
    if not _is_whole(value):
        raise TypeError(
            f"{name}: got {shown(value)}; it must be a whole number, {wanted}"
        )
    if not smallest <= value <= (math.inf if largest is None else largest):
        raise ValueError(f"{name}: got {shown(value)}; it must be {wanted}")
    return operator.index(value)


def check_number(name: str, value: Any, interval: str = "(-inf, inf)") -> None:
    """Refuses anything but real numbers in the interval, "[0, 1)" or "(0, inf)".

    Every number of an array must be in it. NaN is not; a traced value passes.
    """
    wanted = _in_words(interval)
    dtype = _dtype_of(value)
    if not any(jnp.issubdtype(dtype, real) for real in (jnp.floating, jnp.integer)):
        raise TypeError(f"{name}: got {shown(value)}; it must be a number, {wanted}")
    if isinstance(value, Tracer):
        return
    low, high = (float(end) for end in interval[1:-1].split(","))
    values = np.asarray(value).astype(np.float64)
    above = values >= low if interval[0] == "[" else values > low
    below = values <= high if interval[-1] == "]" else values < high
    wrong = values[~(above & below)]
    if wrong.size:
        got = shown(value) if values.ndim == 0 else f"an array with {wrong[0]:g}"
        raise ValueError(f"{name}: got {got}; it must be {wanted}")


def shown(value: Any) -> str:
    """Returns how messages show a value: itself if it is short, else its kind."""
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    if isinstance(value, jax.Array | np.ndarray) and (
        value.ndim or isinstance(value, Tracer)
    ):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, str | int | float | complex | jax.Array | np.generic):
        text = repr(value) if isinstance(value, str) else str(value)
        return text if len(text) <= 40 else f"{text[:37]}..."
    return "None" if value is None else type(value).__name__


def _in_words(interval: str) -> str:
    low, high = interval[1:-1].split(", ")
    if interval == "(-inf, inf)":
        return "finite"
    if high == "inf" and interval[-1] == ")":
        return f"at least {low}" if interval[0] == "[" else f"above {low}"
    return f"in {interval}"


def _is_whole(value: Any) -> bool:
    if isinstance(value, bool | np.bool_) or getattr(value, "ndim", 0):
        return False
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def _dtype_of(value: Any) -> Any:
    if isinstance(value, jax.Array):
        return value.dtype
    try:
        return np.asarray(value).dtype
    except ValueError:  # lists of different lengths
        return np.dtype(object)
