"""Tables in text files: the text, and from it the columns, which pandas reads."""

import codecs
import gzip
import io
import zlib
from collections import Counter
from pathlib import Path

from lstm_jax import files
from lstm_jax.data import dialects, frames
from lstm_jax.data.dialects import Dialect, Line
from lstm_jax.data.raw import Raw, counted, refusal

MARKS = (  # longest first: that of UTF-16 begins one of UTF-32
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
ENCODED = "text in UTF-8, or in UTF-16 that begins with a byte order mark"
SAVE = "save it again, as 'CSV UTF-8' or with encoding='utf-8'"
ZERO, NEWLINE, LF = "\0", "\n", b"\n"
PARTS = 16  # the memory that lines, and rows of text, take: this many times the file


def read_csv(path: str, wanted: str) -> Raw:
    """Returns the columns of a text file; messages say what it must be, `wanted`."""
    pandas = frames.pandas_for(path)
    lines, notes = dialects.lines_of(_text(path, _bytes(path, wanted)))
    if not lines:
        raise refusal(path, "", "no line with a value", wanted, "write one row a step")
    dialect = dialects.dialect_of(lines)
    try:
        numbers, names = _checked_rows(path, lines, dialect)
    except ValueError as error:
        if not str(error).startswith("line "):
            raise
        remedy = 'close every quote, and write "" for a quote inside'
        raise refusal(path, str(error), "a quote", "closed", remedy) from error
    body = [line.text for line in lines if line.number >= numbers[0]]
    frame = pandas.read_csv(
        io.StringIO("\n".join(body)),
        sep=dialect.separator,
        decimal=dialect.decimal,
        header=None,
        names=range(len(names)),
        index_col=False,
        skipinitialspace=True,
        na_values=sorted(dialects.MISSING),
        low_memory=False,
    )
    if len(frame) != len(numbers):  # of quotes that csv and pandas read otherwise
        got = f"{len(frame)} rows in {len(numbers)} lines"
        raise refusal(path, "", got, "one row a line", "write it without quotes")
    raw = frames.raw_of(path, frame, names, dialect.decimal, numbers)
    return raw._replace(notes=[*notes, *dialect.notes, *raw.notes])


def _bytes(path: str, wanted: str) -> bytes:
    size = files.check_regular(path, wanted)
    most = files.memory() // PARTS
    packed = Path(path).suffix.lower() == ".gz"
    try:
        with gzip.open(path) if packed else open(path, "rb") as file:
            content = b"" if size > most else file.read(most + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise files.refusal(path, "can't be unpacked", wanted) from error
    except OSError as error:
        raise files.unreadable(path, error, wanted) from error
    if max(size, len(content)) > most:
        raise ValueError(
            f"{path!r} holds more than {files.in_words(most)} of text; it must hold "
            "less, for this memory: convert it to .npy"
        )
    return content


def _text(path: str, content: bytes) -> str:
    mark, encoding = next(
        ((mark, name) for mark, name in MARKS if content.startswith(mark)),
        (b"", "utf-8"),
    )
    content = content[len(mark) :]
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = f"line {1 + content.count(LF, 0, error.start)}"
        got = f"the byte 0x{content[error.start]:02x}, which is not {encoding.upper()}"
        raise refusal(path, line, got, ENCODED, SAVE) from error
    if ZERO in text:
        line = f"line {1 + text.partition(ZERO)[0].count(NEWLINE)}"
        raise refusal(path, line, "a zero byte", ENCODED, SAVE)
    return text


def _checked_rows(
    path: str, lines: list[Line], dialect: Dialect
) -> tuple[list[int], tuple[str, ...]]:
    """Returns the line of each row, and the names of the columns; refuses a ragged one.

    A line that ends in a separator has one more value, which is empty.
    """
    rows = dialects.rows_of(lines, dialect.separator)
    number, header = next(rows) if dialect.header else (0, [])
    numbers, widths, ends_empty = [], [], True
    for line, fields in rows:
        numbers.append(line)
        widths.append(len(fields))
        ends_empty &= not fields[-1]
    width = Counter(widths).most_common(1)[0][0]
    while len(header) > width and not header[-1]:
        header.pop()
    if dialect.header and len(header) == width - 1:  # R gives row names no name
        header = [*header, ""] if ends_empty else ["", *header]
    counts = zip([number, *numbers], [len(header) or width, *widths], strict=True)
    for line, count in counts:
        if count != width:
            got = counted(count, "value")
            remedy = "correct it; a text that has the separator must be in quotes"
            wanted = f"{width}, as in most lines"
            raise refusal(path, f"line {line}", got, wanted, remedy)
    return numbers, tuple(header or [""] * width)
