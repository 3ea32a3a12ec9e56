"""A sequence of one's own: files that are read, and files that are refused."""

import numpy as np
import pytest

from experiments.common.cli import ConfigError
from experiments.common.sequence_file import read_sequence


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("ragged.csv", b"1,2\n3\n", "ragged: line 1 has 2 values, line 2 has 1"),
        ("nan.csv", b"1,2\n3,nan\n", "has nan at step 1, feature 1"),
        ("inf.csv", b"1,2\ninf,3\n", "has inf at step 1, feature 0"),
        ("text.csv", b"a,b\n1,2\n", "not all numbers"),
        ("empty.csv", b"", "shape"),
        ("short.csv", b"1,2\n", "time must be at least 2"),
        ("junk.npy", b"junk", "can't be read as numbers"),
        ("none.npy", None, "No such file"),
        (
            "large.csv",
            b"1,2\n3,1e39\n",
            "has 1e+39 at step 1, feature 1, beyond float32",
        ),
        ("mine.txt", b"1\n2\n", "suffix '.txt'"),
    ],
)
def test_a_bad_sequence_file_is_refused(tmp_path, name, content, found):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="sequence: ") as caught:
        read_sequence(str(path))
    assert found in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((2, 3, 4)), "shape"),
        (np.array(["a", "b"]), "holds"),
        (np.array([1j, 2j]), "holds complex128"),
    ],
)
def test_a_bad_array_is_refused(tmp_path, array, found):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ConfigError, match=found):
        read_sequence(str(tmp_path / "a.npy"))


def test_good_files_are_read(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n3,4\n\n")
    assert read_sequence(str(tmp_path / "a.csv")).tolist() == [[1, 2], [3, 4]]
    np.save(tmp_path / "b.npy", np.arange(3))
    assert read_sequence(str(tmp_path / "b.npy")).tolist() == [[0], [1], [2]]
