"""Lists the experiments, each with its question: python -m experiments."""

import ast
from pathlib import Path

COMMAND = 'if __name__ == "__main__":'


def questions() -> dict[str, str]:
    """Returns the first line of every module that is a command, by its name."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        source = path.read_text(encoding="utf-8")
        if COMMAND in source:
            doc = ast.get_docstring(ast.parse(source)) or ""
            found[path.stem] = doc.partition("\n")[0]
    return found


if __name__ == "__main__":
    for name, question in questions().items():
        print(f"python -m experiments.{name:<16} {question}")
    print("\nEach takes --help. Read first: python -m experiments.gradient_decay")
