"""What `help` and `?` say of a cell or a task: the docstrings of what it is made of."""

import inspect
import sys
from collections.abc import Callable
from functools import partial
from textwrap import fill
from types import ModuleType
from typing import Any


class Description:
    """The `__doc__` of a class of bundles of functions, and of its instances.

    The class keeps its own text. An instance has that of the file which made it, so
    that `lj.LSTM?` shows the equations of the LSTM and not those of every cell.
    """

    def __init__(self, text: str | None, describe: Callable[[Any], str]) -> None:
        """Takes the text of the class, and what makes that of an instance."""
        self.text = text
        self.describe = describe

    def __get__(self, bundle: Any, kind: type) -> str | None:
        """Returns the text of the class, or of the instance."""
        return self.text if bundle is None else self.describe(bundle)


def file_of(function: Callable) -> ModuleType | None:
    """Returns the module in which a function stands; None in a notebook."""
    name = whole(function).__module__
    return None if name == "__main__" else sys.modules.get(name)


def whole(function: Any) -> Any:
    """Returns the function of which others are `partial`."""
    return whole(function.func) if isinstance(function, partial) else function


def told_by(function: Callable) -> Any:
    """Returns what has the docstring: the function, or the factory of its file.

    A factory is named like its file.
    """
    module = file_of(function)
    if function.__doc__ or module is None:
        return function
    return getattr(module, module.__name__.rpartition(".")[2], None)


def text_of(*sources: Any) -> str:
    """Returns the docstrings of those that have one, each a part of its own."""
    texts = (getattr(whole(each), "__doc__", None) for each in sources if each)
    return "\n\n".join(inspect.cleandoc(text) for text in texts if text)


def call_of(name: str, function: Callable) -> str:
    """Returns how a function is called, under a name, as an indented block."""
    arguments = [
        f"{each.name}={_plain(each.default)}" if each.default is not each.empty
        else str(each).partition(":")[0]
        for each in inspect.signature(function).parameters.values()
    ]  # fmt: skip
    indent = " " * 4
    return fill(
        f"{name}({', '.join(arguments)})",
        initial_indent=indent,
        subsequent_indent=indent + " " * len(f"{name}("),
        width=72,
    )


def _plain(default: Any) -> str:
    return getattr(default, "__name__", None) or repr(default)
