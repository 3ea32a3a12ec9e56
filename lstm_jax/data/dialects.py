"""How a text writes a table: its separator, decimal sign, header, comments, footer.

Decided by looking at the lines; the numbers are then read by pandas.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# pandas has these by default, with the empty field; the last four are its users'.
MISSING = frozenset(
    "#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|"
    "None|n/a|nan|null||?|-|--|.".split("|")
)
NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.I)
POINT = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")
COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+")  # 1,234: thousands, or three decimals
THOUSANDS = re.compile(r"[+-]?\d{1,3}([.,' \u00a0\u2009\u202f]\d{3})+([.,]\d*)?")
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?([ T].*)?")
COMMA_ONCE = re.compile(r"\s*[+-]?\d+(,\d+)?\s*")
PADDED = re.compile(r".*,0\d+\s*")  # 0,05: no integer begins with a zero
COMMENT = re.compile(
    r" *#(?!N/A|NA\b|(DIV/0|VALUE|REF|NUM|NULL)!|NAME\?)"
)  # not Excel's
SEPARATORS = ("\t", ";", "|", ",")
SPACES = r"\s+"  # as pandas writes it
BLANKS = re.compile("[ \t]+")  # and what it means: no-break spaces group thousands
NEVER = "\x1f"  # separates nothing: one column
SAMPLE = 200


class Line(NamedTuple):
    """A line of the file, with its number from 1."""

    number: int
    text: str


class Dialect(NamedTuple):
    """How a table is written.

    Attributes:
      separator: one character, or `SPACES`, or `NEVER`.
      decimal: "." or ",".
      header: whether the first line has the names of the columns.
      notes: what a reader should know of these decisions.
    """

    separator: str
    decimal: str
    header: bool
    notes: list[str]


def lines_of(text: str) -> tuple[list[Line], list[str]]:
    """Returns the lines of the table, with notes on what was left out.

    Left out are blank lines, comments, lines without any value at the end, and a
    footer: words after the last blank line.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines, blanks = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip(" "):
            blanks.append(number)
        elif not COMMENT.match(line):
            lines.append(Line(number, line))
    while lines and not lines[-1].text.strip(' ,;\t|"'):
        lines.pop()
    return _without_footer(lines, blanks)


def _without_footer(
    lines: list[Line], blanks: list[int]
) -> tuple[list[Line], list[str]]:
    notes = []
    while lines:
        last = max((n for n in blanks if n < lines[-1].number), default=0)
        table = [line for line in lines if line.number < last]
        footer = lines[len(table) :]
        if not table or not all(_is_prose(line.text) for line in footer):
            break
        text = footer[0].text.strip(' ,;\t|"')
        notes.append(f"line {footer[0].number} is a footer, left out: {text[:60]!r}")
        lines = table
    return lines, notes


def _is_prose(text: str) -> bool:
    """Whether a line begins with a word and has no number between separators."""
    fields = [field.strip(' "') for field in re.split(r"[,;\t|]", text)]
    return fields[0][:1].isalpha() and not any(map(NUMBER.fullmatch, fields))


def dialect_of(lines: list[Line]) -> Dialect:
    """Returns how the lines of a table are written."""
    stated = re.fullmatch(
        r"sep=([,;|\t])", lines[0].text.strip(" ")
    )  # Excel writes this
    if stated and len(lines) > 1:
        separator = stated[1]
        del lines[0]
    else:
        separator = _separator(lines)
    if separator == "," and _is_one_column(lines):
        separator, decimal = NEVER, ","
    else:
        decimal = _decimal(lines, separator)
    first, *below = (fields for _, fields in rows_of(lines[:SAMPLE], separator, False))
    header, certain = _is_header(first, below)
    notes = ["commas are decimal"] if decimal == "," else []
    if separator == SPACES:
        notes.append("white space separates columns")
    if separator == "," and _could_be_one_column(lines):
        notes.append("commas separate columns; if they are decimal, write a header")
    if header and not certain:
        notes.append(f"line {lines[0].number} has the names of the columns")
    return Dialect(separator, decimal, header, notes)


def rows_of(
    lines: list[Line], separator: str, strict: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """Yields the number of the first line of each row, and its fields."""
    texts = (line.text for line in lines)
    if separator == SPACES:
        separator, texts = " ", (BLANKS.sub(" ", text).strip(" ") for text in texts)
    reader = csv.reader(
        texts, delimiter=separator, skipinitialspace=True, strict=strict
    )
    at = 0
    try:
        for fields in reader:
            yield lines[at].number, [field.strip() for field in fields]
            at = reader.line_num
    except csv.Error as error:
        raise ValueError(f"line {lines[min(at, len(lines) - 1)].number}") from error


def _separator(lines: list[Line]) -> str:
    """Returns what most lines have; if none, white space that cuts all alike."""
    sample = lines[1:SAMPLE] or lines
    for separator in SEPARATORS:
        rows = rows_of(sample, separator, False)
        if sum(len(fields) > 1 for _, fields in rows) > len(sample) / 2:
            return separator
    several = all(BLANKS.search(line.text.strip(" \t")) for line in sample)
    return SPACES if several else ","


def _is_one_column(lines: list[Line]) -> bool:
    """Whether the commas between digits are decimal: 0,71 and not 1700,5."""
    named = COMMA_ONCE.fullmatch(lines[0].text) is None
    texts = [line.text for line in (lines[1:] if named else lines)]
    if not all(map(COMMA_ONCE.fullmatch, texts)):
        return False
    if named:
        return "," not in lines[0].text and any("," in text for text in texts)
    return any(map(PADDED.fullmatch, texts))


def _could_be_one_column(lines: list[Line]) -> bool:
    """Whether every line is like 1,57: two integers, or one number of two decimals."""
    ends = {len(line.text.strip().partition(",")[2]) for line in lines}
    one = all(COMMA_ONCE.fullmatch(line.text) for line in lines)
    return one and len(ends) == 1 and min(ends) > 1


def _decimal(lines: list[Line], separator: str) -> str:
    """Returns "," where numbers have commas and none has a point."""
    by_comma = separator == ","  # then a number with a comma is quoted
    needed = {",", '"'} if by_comma else {","}
    if not any(needed <= set(line.text) for line in lines):
        return "."
    found = False
    for _, fields in rows_of(lines, separator, False):
        if any(map(POINT.fullmatch, fields)):
            return "."
        found |= any(
            COMMA.fullmatch(field) and not (by_comma and GROUPED.fullmatch(field))
            for field in fields
        )
    return "," if found else "."


def _is_header(first: list[str], below: list[list[str]]) -> tuple[bool, bool]:
    """Returns whether the first row names the columns, and whether that is certain."""
    given = [field for field in first if field]
    if given and all(map(_is_word, given)):
        return bool(below), not any(field[0].isdecimal() for field in given)
    for column, field in enumerate(first):
        entries = [fields[column] for fields in below if column < len(fields)]
        named = _is_word(field) and not re.search(r"\d", field)
        if named and entries and not any(map(_is_word, entries)):
            return True, False
    return False, True


def _is_word(field: str) -> bool:
    known = (NUMBER, DATE)
    return field not in MISSING and not any(kind.fullmatch(field) for kind in known)


def remedy(entry: str) -> str:
    """Returns what helps where an entry is no number."""
    grouped = THOUSANDS.fullmatch(entry)
    return "write it without separators of thousands" if grouped else "correct it"


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Returns the names of columns: those without one by position, doubles counted."""
    found: dict[str, None] = {}
    for position, name in enumerate(names, 1):
        base, count = name or str(position), 1
        name = base
        while name in found:
            name, count = f"{base}.{count}", count + 1
        found[name] = None
    return tuple(found)
