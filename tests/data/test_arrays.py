"""Arrays of NumPy's files, and Parquet, as tables."""

import importlib.util

import numpy as np
import pytest
from table_files import refused

from lstm_jax.data import read_table


def npy(folder, array):
    np.save(folder / "a.npy", array)
    return str(folder / "a.npy")


def npz(folder, **arrays):
    np.savez(folder / "a.npz", **arrays)
    return str(folder / "a.npz")


def test_an_array_of_one_two_or_three_axes_is_a_table(tmp_path):
    table = read_table(npy(tmp_path, np.arange(3)))
    assert (table.values.tolist(), table.columns) == ([[0], [1], [2]], ("1",))
    values = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    for array in (values[:, 0], values):
        table = read_table(npy(tmp_path, array))
        np.testing.assert_array_equal(table.values, array)
        assert table.values.dtype == np.float64 and table.columns == ("1", "2", "3")
    table = read_table(npy(tmp_path, values), columns=["3", "1"])
    np.testing.assert_array_equal(table.values, values[..., [2, 0]])


def test_three_axes_are_standardized_over_time_and_batch(tmp_path):
    values = np.random.default_rng(0).normal(3, 7, size=(5, 4, 2))
    table = read_table(npy(tmp_path, values), scale="standardize")
    flat = values.reshape(-1, 2)
    np.testing.assert_allclose(table.values, (values - flat.mean(0)) / flat.std(0))


def test_a_gap_in_three_axes_is_named_filled_and_dropped(tmp_path):
    values = np.arange(12.0).reshape(3, 2, 2)
    values[1, 1, 0] = np.nan
    path = npy(tmp_path, values)
    assert ", step 2, sequence 2, column '1': got no value; it must" in refused(path)
    filled = read_table(path, missing="forward").values
    assert filled.tolist() == [[[0, 1], [2, 3]], [[4, 5], [2, 7]], [[8, 9], [10, 11]]]
    dropped = read_table(path, missing="drop").values
    assert dropped.tolist() == values[[0, 2]].tolist()


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (
            np.zeros((2, 3, 4, 5)),
            ": got the shape (2, 3, 4, 5); it must be (time, input)",
        ),
        (np.float64(3), ": got the shape (); it must be (time, input)"),
        (np.array(["a", "b"]), ": got str32; it must be real numbers"),
        (np.array([1j, 2j]), ": got complex128; it must be real numbers"),
        (np.zeros((1, 2)), ": got 1 row; it must be at least 2 steps"),
        (np.zeros((2, 0)), ": got no column of numbers; it must be at least one"),
        (np.array([1, -np.inf]), ", step 2, column '1': got -inf; it must be finite"),
        (np.array([[1, 2], [1e39, 3]]), ", step 2, column '1': got 1e+39; it must be"),
    ],
)
def test_another_array_is_refused(tmp_path, array, found):
    assert refused(npy(tmp_path, array)).startswith(found)


def test_of_an_archive_the_only_array_or_columns_of_one_length(tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 4, 3))
    np.testing.assert_array_equal(read_table(npz(tmp_path, x=values)).values, values)
    path = npz(tmp_path, x=values, y=np.zeros((5, 2)), z=np.arange(5))
    np.testing.assert_array_equal(read_table(path, columns=["x"]).values, values)
    assert read_table(path, columns=["z"]).columns == ("z",)
    assert refused(path) == (
        ": got x (5, 4, 3), y (5, 2), z (5,); it must be one array, or columns of one "
        "length: name one of them, columns=NAME"
    )
    table = read_table(npz(tmp_path, a=np.arange(3), b=np.array([1, 4, 9])))
    assert (table.values.tolist(), table.columns) == (
        [[0, 1], [1, 4], [2, 9]],
        ("a", "b"),
    )
    assert ": got nothing; it must be one array" in refused(npz(tmp_path))


def test_parquet_is_read_or_its_reader_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1")
    if importlib.util.find_spec("pyarrow") is None:
        with pytest.raises(ModuleNotFoundError, match="pip install pyarrow"):
            read_table(path)
        return
    assert " can't be read as Parquet; it must be" in refused(str(path))
    import pandas

    when = pandas.to_datetime(["2020-01-01", "2020-01-02"])
    frame = pandas.DataFrame({"when": when, "x": [1.5, 2.5]})
    frame.to_parquet(path)
    table = read_table(path)
    assert (table.values.tolist(), table.columns) == ([[1.5], [2.5]], ("x",))
