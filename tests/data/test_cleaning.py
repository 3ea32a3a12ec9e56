"""Columns that are chosen, gaps that are closed, numbers that are scaled."""

import numpy as np
import pytest
from table_files import refused, saved

from lstm_jax.data import read_table


def test_a_missing_value_is_refused_filled_or_dropped(tmp_path):
    path = saved(tmp_path, "a,b\n1,5\n\n2,NA\n3,\n4,16\n")
    assert refused(path) == (
        ", line 4, column 'b': got no value; it must be a number: missing=forward "
        "repeats the one before, missing=drop leaves the row out"
    )
    forward = read_table(path, missing="forward")
    assert forward.values.tolist() == [[1, 5], [2, 5], [3, 5], [4, 16]]
    note = "2 missing values filled from above, the first at line 4, column 'b'"
    assert note in forward.notes
    drop = read_table(path, missing="drop")
    assert drop.values.tolist() == [[1, 5], [4, 16]]
    assert "2 rows without a value left out, the first at line 4" in drop.notes
    assert read_table(path, columns=["a"]).values.tolist() == [[1], [2], [3], [4]]


@pytest.mark.parametrize("word", ["", "NA", "nan", "NULL", "?", "-", '""', "#N/A"])
def test_words_for_a_missing_value(tmp_path, word):
    path = saved(tmp_path, f"1,5\n{word},11\n4,16\n")
    assert "line 2, column '1': got no value" in refused(path)
    assert read_table(path, missing="drop").values.tolist() == [[1, 5], [4, 16]]


def test_what_can_not_be_filled_is_refused(tmp_path):
    path = saved(tmp_path, "a,b\n1,\n2,5\n")
    assert refused(path, missing="forward") == (
        ", line 2, column 'b': got no value, and none before; it must be a number: "
        "missing=drop leaves the row out"
    )
    assert ": got 1 row without a gap; it must be at least 2" in refused(
        path, missing="drop"
    )


def test_columns_are_chosen_by_name_or_by_position_in_their_order(tmp_path):
    path = saved(tmp_path, "when,a,b,what\n1949-01,1,2,NW\n1949-02,4,5,SE\n")
    for columns in (["b", "a"], ("3", "a"), ["3", "2"]):
        table = read_table(path, columns=columns)
        assert (table.values.tolist(), table.columns) == ([[2, 1], [5, 4]], ("b", "a"))
    assert read_table(path, columns="b").columns == ("b",)
    assert refused(path).endswith("correct it, or take others: columns=a,b")
    assert ", line 2, column 'what': got 'NW'; it must be a number" in refused(
        path, columns=["a", "what"]
    )
    assert refused(path, columns=["c"]) == (
        ", columns: got 'c'; it must be a column of the file: columns=a,b"
    )
    assert "got a column twice; it must be each once: columns=a" in refused(
        path, columns=["a", "a"]
    )


def test_standardized_columns_have_mean_0_and_standard_deviation_1(tmp_path):
    path = saved(tmp_path, "a,b,c\n1,0.1,-3e38\n2,0.1,3e38\n6,0.1,3e38\n")
    table = read_table(path, scale="standardize")
    np.testing.assert_allclose(table.values.mean(0), [0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(table.values.std(0), [1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(
        table.values[:, 0], np.array([-2, -1, 3]) / (14 / 3) ** 0.5
    )
    assert table.notes == (
        "standardized: every column has mean 0 and standard deviation 1",
        "column 'b' is constant, and 0 now",
    )
