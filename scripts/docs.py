"""Checks the built site: every public name is there, and every link inside leads on.

python -m scripts.docs docs/_build/html
"""

import importlib
import inspect
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import lstm_jax as lj

GENERATED = ("genindex.html", "search.html")  # by Sphinx: nothing to check


def public_names() -> dict[str, Any]:
    """Returns every public object by its whole name, such as `lstm_jax.cells.LSTM`."""
    spaces = [name for name in lj.__all__ if inspect.ismodule(getattr(lj, name))]
    modules = ["lstm_jax", *(f"lstm_jax.{space}" for space in spaces)]
    found = {
        f"{module}.{name}": getattr(importlib.import_module(module), name)
        for module in modules
        for name in importlib.import_module(module).__all__
    }
    return {
        name: value
        for name, value in found.items()
        if not inspect.ismodule(value) and not name.endswith(".__version__")
    }


def undocumented(site: Path) -> list[str]:
    """Returns the public names that the site's reference lacks."""
    from sphinx.util.inventory import InventoryFile

    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data
    known = {name for kind in inventory if "py:" in kind for name in inventory[kind]}
    return sorted(public_names().keys() - known)


class Page(HTMLParser):
    """The anchors of a page, and where its links lead."""

    def __init__(self, text: str) -> None:
        """Reads the page."""
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Notes the anchor and the link of an element."""
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            if name in ("href", "src") and value:
                self.links.append(value)


def broken_links(site: Path) -> Iterator[str]:
    """Yields "page: link" where a link inside the site has no file or no anchor."""
    pages = {path.resolve(): Page(path.read_text()) for path in site.rglob("*.html")}
    for path, page in pages.items():
        for link in page.links:
            url = urlsplit(link)
            if url.scheme or url.netloc or path.name in GENERATED:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            anchor = unquote(url.fragment)
            known = pages[target].anchors if target in pages else {anchor}
            if not target.exists() or (anchor and anchor not in known):
                yield f"{path.relative_to(site.resolve())}: {link}"


def main(site: Path) -> None:
    """Prints what is wrong, and exits with 1 if anything is."""
    wrong = [f"not in the reference: {name}" for name in undocumented(site)]
    wrong += [f"broken link in {place}" for place in broken_links(site)]
    print("\n".join(wrong) or f"{len(public_names())} public names, no broken link")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
