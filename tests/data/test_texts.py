"""Texts: what is read, and what is refused."""

import pytest

import lstm_jax as lj


def test_a_text_is_read_without_marks_and_returns(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n" + "ä".encode())
    assert lj.data.read_text(path) == "a\nb\nc\nä"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ab\ncd\n\xe4\n", "holds the byte 0xe4 in line 3; it must be a file of text"),
        ("ab".encode("utf-16"), "holds the byte 0xff in line 1; it must be a file of"),
        (b"ab\0", "holds a zero byte; it must be a file of text in UTF-8"),
        (b"", "is empty; it must be a file of text in UTF-8"),
        (None, "can't be read (No such file or directory); it must be a file of text"),
    ],
)
def test_what_is_no_text_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "mine.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((ValueError, OSError)) as caught:
        lj.data.read_text(path)
    assert str(caught.value).startswith(f"{str(path)!r} {message}")


def test_a_folder_is_no_text(tmp_path):
    with pytest.raises(ValueError, match="is not a regular file"):
        lj.data.read_text(tmp_path)
