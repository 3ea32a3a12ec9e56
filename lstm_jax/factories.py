"""factory: makes bundles of functions once for equal arguments, so that they pickle.

A cell and a task are bundles of functions. `pickle` finds a function only by its place
in a module, and those that a factory makes have none; so their origin is remembered,
and they are pickled as the call that makes them. In the same process that call finds
the very same functions in the factory's cache: what was equal stays equal.
"""

from collections.abc import Callable
from dataclasses import is_dataclass
from functools import cache, partial, wraps
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

Made = TypeVar("Made")


class Origin(NamedTuple):
    """The call that makes a function: `factory(*arguments, **options)`.

    Attributes:
      factory: a function of a module.
      arguments: its positional arguments.
      options: its keyword arguments.
      field: the field of its result; None if the result is the function itself.
    """

    factory: Callable
    arguments: tuple
    options: dict[str, Any]
    field: str | None


_ORIGINS: WeakKeyDictionary[Callable, Origin] = WeakKeyDictionary()


def factory(make: Callable[..., Made]) -> Callable[..., Made]:
    """Decorates a maker of a function, or of a dataclass of functions.

    Equal arguments give the same object, which is compiled once.
    """

    @cache
    @wraps(make)
    def cached(*arguments: Any, **options: Any) -> Made:
        made = make(*arguments, **options)
        given = (*arguments, *options.values())
        if not any(map(_is_local, given)):
            fields: Any = vars(made) if is_dataclass(made) else {None: made}
            for field, value in fields.items():
                if _is_local(value):
                    _ORIGINS[value] = Origin(cached, arguments, options, field)
        return made

    return cached


def _is_local(value: Any) -> bool:
    """Whether this is a function found neither by its module nor by an origin."""
    if isinstance(value, partial):  # two equal calls give different ones
        return value not in _ORIGINS
    place = getattr(value, "__qualname__", "")
    return ("<locals>" in place or "<lambda>" in place) and value not in _ORIGINS


def reduced(made: Any) -> tuple[Callable, tuple[type, dict[str, Any]]]:
    """Returns how a dataclass of functions is pickled, for its `__reduce__`."""
    fields = vars(made).items()
    return _restored, (type(made), {name: _origin_of(field) for name, field in fields})


def _origin_of(field: Any) -> Any:
    return _ORIGINS.get(field, field) if callable(field) else field


def _restored(kind: type, fields: dict[str, Any]) -> Any:
    return kind(**{name: _made(field) for name, field in fields.items()})


def _made(field: Any) -> Any:
    if not isinstance(field, Origin):
        return field
    made = field.factory(*field.arguments, **field.options)
    return made if field.field is None else getattr(made, field.field)
