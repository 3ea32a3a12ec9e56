"""Your text from a file."""

from os import PathLike, fspath

from lstm_jax import checks, files

WANTED = "a file of text in UTF-8"


def read_text(path: str | PathLike[str]) -> str:
    r"""Returns the text in a file of UTF-8, with lines that end in a newline alone.

    Raises:
      OSError: the file can't be read.
      ValueError: it is in another encoding, holds a zero byte as no text does, or is
        empty; the line says where.

    Example:
      >>> import pathlib, tempfile
      >>> path = pathlib.Path(tempfile.mkdtemp(), "mine.txt")
      >>> _ = path.write_text("the wolf saw the dog")
      >>> lj.data.read_text(path)
      'the wolf saw the dog'
    """
    checks.check_type("path", path, str | PathLike, "the path of a file")
    name = fspath(path)
    # Characters are kept as four bytes, and as their symbols.
    files.check_fits(name, 8 * files.check_regular(name, WANTED))
    try:
        with open(name, "rb") as file:
            found = file.read()
    except OSError as error:
        raise files.unreadable(name, error, WANTED) from error
    try:
        text = found.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + found.count(b"\n", 0, error.start)
        odd = f"holds the byte 0x{found[error.start]:02x} in line {line}"
        raise files.refusal(name, odd, f"{WANTED}: save it as such") from error
    if "\0" in text:
        raise files.refusal(name, "holds a zero byte", WANTED)
    if not text:
        raise files.refusal(name, "is empty", WANTED)
    return text.replace("\r\n", "\n").replace("\r", "\n")
