"""Docstrings are plain text: this makes them reStructuredText.

* An indented block after a blank line, such as an equation, becomes a literal block.
* In the prose, `*`, `|` and a trailing `_` are what they are, not markup.
* Each entry of "References:" becomes an item of a list.
* A default that is a function is written as its name.
"""

import re
from typing import Any

SECTIONS = ("Args:", "Attributes:", "Raises:", "Returns:", "References:")
CODE = re.compile(r"(`[^`]*`)")
MARKUP = re.compile(r"([*|\\]|(?<=\w)_(?!\w))")


def indent_of(line: str) -> int:
    """Returns the number of spaces before the text; a blank line has none."""
    return len(line) - len(line.lstrip())


def escaped(line: str) -> str:
    """Returns a line of prose whose markup characters stand for themselves."""
    parts = [
        f"{part}\\ " if CODE.fullmatch(part) else MARKUP.sub(r"\\\1", part)
        for part in CODE.split(line)
    ]  # `\ ` is nothing: it ends code before a letter, as in `x`s
    return "".join(parts)


def blocks_of(lines: list[str]) -> list[list[str]]:
    """Returns the lines in blocks, which blank lines end."""
    blocks, block = [], []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line)
        elif block:
            blocks.append(block)
            block = []
    return blocks


def is_section(block: list[str]) -> bool:
    """Whether the block begins with the heading of a section of Google's style."""
    return block[0].strip() in SECTIONS


def references(block: list[str]) -> list[str]:
    """Returns the section with every entry as an item of a list."""
    entries = []
    for line in block[1:]:
        if indent_of(line) <= indent_of(block[0]) + 2:
            entries.append(f"  * {escaped(line.strip())}")
        else:
            entries.append(f"    {escaped(line.strip())}")
    return [block[0], *entries]


def section(block: list[str]) -> list[str]:
    """Returns a section of Google's style, its names untouched.

    napoleon escapes the `*` of a name; what is said of it is prose.
    """
    lines = [block[0]]
    for line in block[1:]:
        name, colon, text = line.partition(": ")
        is_name = colon and re.fullmatch(r"\s*\*{0,2}\w+", name)
        lines.append(name + colon + escaped(text) if is_name else escaped(line))
    return lines


def in_prose(block: list[str]) -> list[str]:
    """Returns a block of prose; where it turns inwards, what follows is literal."""
    base = indent_of(block[0])
    text = []
    for place, line in enumerate(block):
        if indent_of(line) > base and not line.lstrip().startswith(("* ", "- ")):
            if not _continues(block[:place]):
                return [*text, "", *_literal(block[place:], base)]
        text.append(escaped(line) if not _is_item(line) else _item(line))
    return text


def _is_item(line: str) -> bool:
    return line.lstrip().startswith(("* ", "- "))


def _item(line: str) -> str:
    mark = line[: indent_of(line) + 2]
    return mark + escaped(line[len(mark) :])


def _continues(before: list[str]) -> bool:
    """Whether the last item of a list is still going on."""
    return any(_is_item(line) for line in before)


def _literal(block: list[str], base: int) -> list[str]:
    return [" " * base + "::", "", *block]


def plain(lines: list[str]) -> list[str]:
    """Returns the lines of a docstring as reStructuredText."""
    result: list[str] = []
    literal = False  # whether the block before was one, of which this one is a part
    for block in blocks_of(lines):
        if block[0].strip() == "References:":
            result += references(block)
        elif is_section(block):
            result += section(block)
        elif block[0].strip() == "Example:":
            result += block
        elif indent_of(block[0]) > 0:
            result += block if literal else _literal(block, 0)
            literal = True
            result.append("")
            continue
        else:
            result += in_prose(block)
        literal = False
        result.append("")
    return result


def _process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]):
    if what == "data" and lines:
        # napoleon would take what stands before a colon here for a type.
        lines[0] = lines[0].replace(": ", " – ", 1)
    lines[:] = plain(lines)


def _named(app: Any, what: str, name: str, obj: Any, options: Any, *texts: Any):
    """A function as a default is called by its name."""
    return [text and re.sub(r"<function (\w+)[^>]*>", r"\1", text) for text in texts]


def setup(app: Any) -> dict[str, bool]:
    """Runs before napoleon, which reads the sections."""
    app.connect("autodoc-process-docstring", _process, priority=400)
    app.connect("autodoc-process-signature", _named)
    return {"parallel_read_safe": True}
