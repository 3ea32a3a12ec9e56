"""The reference follows `__all__`: its order, and its comments as headings.

    ```{namespace} lstm_jax.gradients
    ```

writes for every comment in `__all__` a heading, a table of the names below it, and the
docstring of each. A name of `lstm_jax` that lives in a namespace is documented there.
"""

import importlib
import inspect
import io
import sys
import tokenize
from types import ModuleType
from typing import Any, NamedTuple

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

import lstm_jax as lj

ROOT = "lstm_jax"
SPACES = [name for name in lj.__all__ if inspect.ismodule(getattr(lj, name))]


class Group(NamedTuple):
    """Names of `__all__` that stand below one comment.

    Attributes:
      heading: the comment; empty for names above the first one.
      names: in the order of `__all__`.
    """

    heading: str
    names: list[str]


def groups_of(module: ModuleType) -> list[Group]:
    """Returns the names of a module's `__all__`, by its comments."""
    source = inspect.getsource(module)
    listed = source[source.index("__all__ = [") :]
    groups = [Group("", [])]
    for token in tokenize.generate_tokens(io.StringIO(listed).readline):
        if token.type == tokenize.COMMENT:
            heading = token.string.removeprefix("#").strip().removeprefix("... ")
            groups.append(Group(heading[:1].upper() + heading[1:], []))
        elif token.type == tokenize.STRING:
            groups[-1].names.append(token.string.strip("\"'"))
        elif token.string == "]":
            break
    return [group for group in groups if group.names]


def home_of(name: str) -> str | None:
    """Returns the namespace in which a name of `lstm_jax` lives too; None: in none."""
    for space in SPACES:
        if name in importlib.import_module(f"{ROOT}.{space}").__all__:
            return f"{ROOT}.{space}"
    return None


def is_documented(value: Any) -> bool:
    """Whether it has a place in the reference: not a namespace, nor the version."""
    return not inspect.ismodule(value) and value != lj.__version__


def is_function(value: Any) -> bool:
    """Whether it is a function, perhaps inside one of JAX's wrappers."""
    return inspect.isroutine(inspect.unwrap(value))


def _entry(module: str, name: str) -> list[str]:
    """Returns the lines that document a name."""
    value = getattr(importlib.import_module(module), name)
    full = f"{module}.{name}"
    if inspect.isclass(value):
        return [f".. autoclass:: {full}", ""]
    if is_function(value):
        return [f".. autofunction:: {full}", ""]
    return [f".. autodata:: {full}", "   :no-value:", ""]


def _lines(module: str, names: list[str]) -> list[str]:
    """Returns a table of the names, and what documents those that live here."""
    homes = {
        name: module if module != ROOT else home_of(name) or ROOT for name in names
    }
    table = [".. autosummary::", "   :nosignatures:", ""]
    table += [f"   ~{home}.{name}" for name, home in homes.items()]
    entries = [
        line
        for name, home in homes.items()
        if home == module
        for line in _entry(module, name)
    ]
    return [*table, "", *entries]


class Namespace(SphinxDirective):
    """The directive `namespace`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Returns what the module says, and a section for every comment."""
        (name,) = self.arguments
        module = importlib.import_module(name)
        found = [] if name == ROOT else self._about(name)
        for heading, listed in groups_of(module):
            names = [each for each in listed if is_documented(getattr(module, each))]
            if names:
                found += self._section(name, Group(heading, names))
        return found

    def _about(self, name: str) -> list[nodes.Node]:
        about = nodes.container()
        self._parse([f".. automodule:: {name}", "   :no-members:", ""], about)
        self.env.ref_context.pop("py:module", None)  # the names below are whole
        return list(about.children)

    def _section(self, module: str, group: Group) -> list[nodes.Node]:
        if not group.heading:
            bare = nodes.container()
            self._parse(_lines(module, group.names), bare)
            return list(bare.children)
        section = nodes.section(ids=[nodes.make_id(group.heading)])
        section += nodes.title(text=group.heading)
        self._parse(_lines(module, group.names), section)
        return [section]

    def _parse(self, lines: list[str], parent: nodes.Element) -> None:
        fenced = ["```{eval-rst}", *lines, "```"]
        content = StringList(fenced, source=self.get_source_info()[0])
        self.state.nested_parse(content, self.content_offset, parent)


def _data(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]):
    """What a constant says is the string below its assignment, wherever that is."""
    if what != "data" or isinstance(obj, lj.Cell | lj.Task) or is_function(obj):
        return
    space, _, short = name.rpartition(".")
    rooms = [
        room for room, module in sorted(sys.modules.items())
        if f"{room}.".startswith(f"{space}.") and getattr(module, "__file__", None)
    ]  # fmt: skip
    found = [ModuleAnalyzer.for_module(room).find_attr_docs() for room in rooms]
    lines[:] = next((docs["", short] for docs in found if ("", short) in docs), [])


def _aliases(app: Any, env: Any) -> list[str]:
    """`lstm_jax.X` is another name of what lives in a namespace."""
    objects = env.domains.python_domain.objects
    for name in importlib.import_module(ROOT).__all__:
        home = objects.get(f"{home_of(name)}.{name}")
        if home is not None:
            objects[f"{ROOT}.{name}"] = home._replace(aliased=True)
    return []


def setup(app: Any) -> dict[str, bool]:
    """Adds the directive, and the short names."""
    app.add_directive("namespace", Namespace)
    app.connect("autodoc-process-docstring", _data, priority=300)
    app.connect("env-updated", _aliases)
    return {"parallel_read_safe": True}
