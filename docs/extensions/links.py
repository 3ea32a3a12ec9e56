"""References of plain docstrings and pages, checked.

In a docstring a name in backticks is code. One that begins with `lstm_jax.` or `lj.` is
a reference: a link where that name is documented, code where it only exists, and a
warning where it doesn't; on a page the same holds of code such as `lj.unroll`. Links of
a page to a cell's or a task's file lead to its place in the reference.
"""

import re
from pkgutil import resolve_name
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref

FILES = re.compile(r"\[`(\w+)`\]\(\.\./lstm_jax/(cells|tasks)/\w+\.py\)")


def _exists(target: str) -> bool:
    try:
        resolve_name(target)
    except (ImportError, AttributeError):
        return False
    return True


def _resolve(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    if node.get("refdomain") != "py":
        return None
    target = re.sub(r"^lj\.", "lstm_jax.", node["reftarget"])
    if not re.fullmatch(r"lstm_jax(\.\w+)+", target):
        return contnode
    python = env.domains.python_domain
    if target in python.objects:
        return python.resolve_xref(
            env,
            node.get("refdoc", env.docname),
            app.builder,
            "obj",
            target,
            node,
            contnode,
        )
    return contnode if _exists(target) else None


def _names(app: Any, doctree: nodes.document) -> None:
    """Makes references of the names in the code of a page's sentences."""
    for literal in [*doctree.findall(nodes.literal)]:
        name = literal.astext()
        linked = isinstance(literal.parent, nodes.reference | pending_xref)
        if re.fullmatch(r"(lj|lstm_jax)(\.[A-Za-z_]\w*)+", name) and not linked:
            domain = {"refdomain": "py", "reftype": "obj", "reftarget": name}
            reference = pending_xref(
                "", refdoc=app.env.docname, refexplicit=False, refwarn=True, **domain
            )
            literal.replace_self(reference)
            reference += literal


def _files(app: Any, docname: str, source: list[str]) -> None:
    def role(match: re.Match) -> str:
        name, space = match.groups()
        return f"{{py:obj}}`{name} <lstm_jax.{space}.{name.upper()}>`"

    source[0] = FILES.sub(role, source[0])


def setup(app: Any) -> dict[str, bool]:
    """Connects all three."""
    app.connect("doctree-read", _names)
    app.connect("missing-reference", _resolve)
    app.connect("source-read", _files)
    return {"parallel_read_safe": True}
