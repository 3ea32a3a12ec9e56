"""What --help prints, on one screen or two."""

import inspect
import shutil
import sys
import textwrap
from types import ModuleType

from absl import flags


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
