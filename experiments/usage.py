"""What --help prints: as much as fits one screen or two."""

import inspect
import shutil
import sys
import textwrap

from absl import flags


def show() -> None:
    """Prints what the experiment asks, how it is called, and a line or two a flag."""
    main = sys.modules["__main__"]
    question, *paragraphs = inspect.cleandoc(main.__doc__ or "").split("\n\n")
    calls = next((p for p in paragraphs if p.startswith("  ")), "")
    width = max(50, shutil.get_terminal_size().columns)
    print(f"{question}\n\n{calls}\n")
    for flag in flags.FLAGS.flags_by_module_dict()[sys.argv[0]]:
        default = (flag.default_as_str or "").strip("'")
        name = f"--{flag.name}={default}" if default else f"--{flag.name}"
        entry = f"{name}: {flag.help}"
        print(textwrap.fill(entry, width, subsequent_indent="    "))
    print(f"\nWhat is drawn, and what to expect: the first lines of {main.__file__}")
