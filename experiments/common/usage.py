"""What the commands are, and what --help prints of one."""

import ast
import inspect
import shutil
import sys
import textwrap
from pathlib import Path
from types import ModuleType

from absl import flags

COMMAND = 'if __name__ == "__main__":'


def show() -> None:
    """Prints the experiment's question, how to call it, and a line or two per flag."""
    asked = _module()
    question, *paragraphs = inspect.cleandoc(asked.__doc__ or "").split("\n\n")
    calls = next((p for p in paragraphs if p.startswith("  ")), "")
    width = max(50, shutil.get_terminal_size().columns)
    print(f"{question}\n\n{calls}\n")
    for flag in flags.FLAGS.flags_by_module_dict()[sys.argv[0]]:
        default = (flag.default_as_str or "").strip("'")
        name = f"--{flag.name}={default}" if default else f"--{flag.name}"
        entry = f"{name}: {flag.help}"
        print(textwrap.fill(entry, width, subsequent_indent="    "))
    print(f"\nWhat is drawn, and what to expect: the first lines of {asked.__file__}")


def _module() -> ModuleType:
    """Returns the module or package that `python -m` was given."""
    main = sys.modules["__main__"]
    package = (main.__spec__.name if main.__spec__ else "").removesuffix(".__main__")
    return sys.modules.get(package, main)


def questions() -> dict[str, str]:
    """Returns the first line of every command, a module or a package, by its name."""
    here = Path(__file__).parents[1]
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
