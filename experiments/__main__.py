"""Lists the experiments, each with its question: python -m experiments."""

import ast
import sys
from importlib.metadata import version
from pathlib import Path

COMMAND = 'if __name__ == "__main__":'


def questions() -> dict[str, str]:
    """Returns the first line of every command, a module or a package, by its name."""
    here = Path(__file__).parent
    modules = {path.stem: path for path in here.glob("[!_]*.py")}
    packages = {path.parent.name: path for path in here.glob("*/__main__.py")}
    docs = {name: path.with_name("__init__.py") for name, path in packages.items()}
    return {
        name: _first_line((docs | modules)[name])
        for name, path in sorted((packages | modules).items())
        if COMMAND in path.read_text(encoding="utf-8")
    }


def _first_line(path: Path) -> str:
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return doc.partition("\n")[0]


if __name__ == "__main__" and "--version" in sys.argv[1:]:
    print(f"lstm_jax {version('lstm_jax')}")
elif __name__ == "__main__":
    for name, question in questions().items():
        print(f"python -m experiments.{name:<16} {question}")
    print("\nEach takes --help. Read first: python -m experiments.gradient_decay")
