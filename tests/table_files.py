"""Tables as files, and what they are refused for."""

import pytest

from lstm_jax.data import read_table


def saved(folder, content, name="mine.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def refused(path, **options):
    with pytest.raises(ValueError) as caught:
        read_table(path, **options)
    message = str(caught.value)
    assert message.startswith(repr(path)) and message.isprintable()
    return message.removeprefix(repr(path))
