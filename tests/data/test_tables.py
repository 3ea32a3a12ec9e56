"""Tables as people have them: the right numbers, or one line that says what to do."""

import gzip
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from table_files import refused, saved

from lstm_jax.data import read_table

ROOT = Path(__file__).parents[2]


ONE = ([[5], [11], [16]], ("1",))
TWO = ([[1700, 5], [1702, 11], [1705, 16]], ("1", "2"))
NAMED = (TWO[0], ("YEAR", "SUN"))
TEXTS = {
    "a column": ("5\n11\n16\n", *ONE),
    "without a last line end": ("5\n11\n16", *ONE),
    "line ends of Windows": ("5\r\n11\r\n16\r\n", *ONE),
    "line ends of old": ("5\r11\r16\r", *ONE),
    "blank lines": ("\n5\n\n11\n  \n16\n\n\n", *ONE),
    "a header": ("sunspots\n5\n11\n16\n", ONE[0], ("sunspots",)),
    "a header with blanks": (
        "sun spots, monthly\n5\n11\n16\n".replace(",", ""),
        ONE[0],
        ("sun spots monthly",),
    ),
    "a mark of UTF-8": (b"\xef\xbb\xbf5\n11\n16\n", *ONE),
    "UTF-16": ("5\n11\n16\n".encode("utf-16"), *ONE),
    "UTF-16, big end first": (b"\xfe\xff" + "5\n11\n16\n".encode("utf-16-be"), *ONE),
    "UTF-32": ("5\n11\n16\n".encode("utf-32"), *ONE),
    "a comment": ("#value\n5\n # more\n11\n16\n", *ONE),
    "commas": ("1700,5\n1702,11\n1705,16\n", *TWO),
    "semicolons": ("1700;5\n1702;11\n1705;16\n", *TWO),
    "bars": ("1700|5\n1702|11\n1705|16\n", *TWO),
    "tabs": ("1700\t5\n1702\t11\n1705\t16\n", *TWO),
    "blanks around": ("1700 , 5\n1702, 11 \n1705,16\n", *TWO),
    "quotes": ('"1700","5"\n"1702","11"\n"1705","16"\n', *TWO),
    "quotes in the header": ('"YEAR","SUN"\n1700,5\n1702,11\n1705,16\n', *NAMED),
    "a line of Excel": ("sep=;\nYEAR;SUN\n1700;5\n1702;11\n1705;16\n", *NAMED),
    "signs and exponents": ("-1e3\n+2.5\n.5\n", [[-1000], [2.5], [0.5]], ("1",)),
    "a name twice": ("a,a\n1,2\n4,5\n", [[1, 2], [4, 5]], ("a", "a.1")),
    "true and false": ("on,x\nTrue,1\nFalse,5\n", [[1, 1], [0, 5]], ("on", "x")),
    "large whole numbers": ("1" + "0" * 25 + "\n3\n", [[1e25], [3]], ("1",)),
}
NOTED = {
    "commas that are decimal": (
        *("0,71\n12,05\n0,00\n", [[0.71], [12.05], [0]], ("1",)),
        "commas are decimal",
    ),
    "commas that are decimal, below a header": (
        *("Wert\n0,7\n12\n5,25\n", [[0.7], [12], [5.25]], ("Wert",)),
        "commas are decimal",
    ),
    "commas in quotes": (
        *('"0,71","1,2"\n"12,05","3"\n', [[0.71, 1.2], [12.05, 3]], ("1", "2")),
        "commas are decimal",
    ),
    "decimal commas between semicolons": (
        *("a;b\n0,71;1,2\n12,05;3\n", [[0.71, 1.2], [12.05, 3]], ("a", "b")),
        "commas are decimal",
    ),
    "commas that could be both": (
        *("1,57\n2,29\n", [[1, 57], [2, 29]], ("1", "2")),
        "commas separate columns; if they are decimal, write a header",
    ),
    "a name that begins with a digit": (
        *("1o\n2\n3\n", [[2], [3]], ("1o",)),
        "line 1 has the names of the columns",
    ),
    "a spreadsheet from Germany": (
        "\ufeffDatum;Wert\r\n01.01.1700;0.71\r\n13.02.1701;1.57\r\n",
        *([[0.71], [1.57]], ("Wert",)),
        "column 'Datum' holds dates: left out",
    ),
    "a comma at the end": (
        *("1700,5,\n1702,11,\n1705,16,\n", *TWO),
        "column '3' is empty: left out",
    ),
    "a comma at the end, with a header": (
        *("YEAR,SUN\n1700,5,\n1702,11,\n1705,16,\n", *NAMED),
        "column '3' is empty: left out",
    ),
    "a footer": (
        *("1700,5\n1702,11\n1705,16\n\nyearly means\n", *TWO),
        "line 5 is a footer, left out: 'yearly means'",
    ),
    "white space": (
        *(" 1700   5\n 1702  11 \n1705\t 16\n", *TWO),
        "white space separates columns",
    ),
    "years": (
        *(
            "1700,5\n1701,11\n1702,16\n",
            [[1700, 5], [1701, 11], [1702, 16]],
            ("1", "2"),
        ),
        "column '1' grows by 1 at every step; columns= can leave it out",
    ),
    "an index of pandas": (
        *(",a,b\n0,1,5\n1,2,11\n2,4,16\n", [[1, 5], [2, 11], [4, 16]], ("a", "b")),
        "column '1' has no name and counts the rows: left out",
    ),
    "row names of R": (
        *('"a" "b"\n"1" 1 5\n"2" 2 11\n', [[1, 5], [2, 11]], ("a", "b")),
        "column '1' has no name and counts the rows: left out",
    ),
    "a first line of words and numbers": (
        *("day,10,20\n1949-01,3,4\n1949-02,5,6\n", [[3, 4], [5, 6]], ("10", "20")),
        "line 1 has the names of the columns",
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_read_to_its_numbers(tmp_path, name):
    content, values, columns = TEXTS[name]
    table = read_table(saved(tmp_path, content))
    assert (table.values.tolist(), table.columns) == (values, columns)
    assert table.values.dtype == np.float64
    assert table.notes == ()


@pytest.mark.parametrize("name", NOTED)
def test_what_was_decided_is_noted(tmp_path, name):
    content, values, columns, note = NOTED[name]
    table = read_table(saved(tmp_path, content))
    assert (table.values.tolist(), table.columns) == (values, columns)
    assert note in table.notes


DATES = {
    "months": ("1949-01", "1949-02", "1949-12"),
    "days": ("1981-01-01", "1981-01-31", "1981-12-31"),
    "days without a sign": ("19580329", "19580405", "19580412"),
    "days of Germany": ("01.01.1700", "31.01.1700", "01.12.1700"),
    "days of America": ("1/31/1990", "2/1/1990", "12/31/1990"),
    "days of England": ("31/1/1990", "1/2/1990", "31/12/1990"),
    "times": ("2020-01-01 00:00:00", "2020-01-01 01:00:00", "2020-01-01 02:00:00"),
    "zones": ("2020-03-29T00:00:00+01:00", "2020-03-29T03:00:00+02:00", "2021-01-01"),
    "names of months": ("Jan 1949", "Feb 1949", "Dec 1949"),
    "short years": ("Jan-49", "Feb-49", "Dec-49"),
    "hours": ("10:35", "10:36", "23:59"),
}


@pytest.mark.parametrize("name", DATES)
def test_a_column_of_dates_is_left_out(tmp_path, name):
    path = saved(
        tmp_path,
        "when,x\n" + "".join(f'"{d}",{k * k}\n' for k, d in enumerate(DATES[name])),
    )
    table = read_table(path)
    assert (table.values.tolist(), table.columns) == ([[0], [1], [4]], ("x",))
    assert table.notes == ("column 'when' holds dates: left out",)
    assert refused(path, columns=["when"]) == (
        ", columns: got 'when', which holds dates; it must be of numbers: columns=x"
    )


def test_that_the_last_date_comes_first_is_noted(tmp_path):
    path = saved(tmp_path, "when,x\n1949-03,1\n1949-02,4\n1949-01,9\n")
    (note,) = read_table(path).notes
    assert note == "column 'when' holds dates, the last one first: left out"


def test_years_and_days_of_the_month_are_numbers(tmp_path):
    path = saved(tmp_path, "year,day\n1959,19580329\n1960,19580301\n")
    assert read_table(path).columns == ("year", "day")


def test_a_packed_table_and_other_suffixes(tmp_path):
    text = "a,b\n1,2\n4,5\n"
    packed = saved(tmp_path, gzip.compress(text.encode()), "a.csv.gz")
    names = ("a.CSV", "a.tsv", "a.txt")
    for path in (packed, *(saved(tmp_path, text, name) for name in names)):
        table = read_table(path)
        assert (table.values.tolist(), table.columns) == ([[1, 2], [4, 5]], ("a", "b"))
    assert read_table(Path(packed)).columns == ("a", "b")
    assert " can't be unpacked; it must be a file" in refused(
        saved(tmp_path, b"a,b", "b.csv.gz")
    )


def test_numbers_are_those_that_are_written(tmp_path):
    draw = np.random.default_rng(0)
    values = draw.normal(size=(300, 2)) * 10.0 ** draw.integers(-30, 30, (300, 2))
    text = "".join(f"{a!r},{b!r}\n" for a, b in values.tolist())
    np.testing.assert_array_equal(read_table(saved(tmp_path, text)).values, values)
    commas = text.replace(",", ";").replace(".", ",")
    np.testing.assert_array_equal(read_table(saved(tmp_path, commas)).values, values)


REFUSED = {
    "nothing": (b"", ": got no line with a value; it must be a file of numbers"),
    "one row": ("1,2\n", ": got 1 row; it must be at least 2 steps"),
    "a header alone": ("a,b\n", ", line 1, column '1': got 'a'; it must be a number"),
    "a ragged line": (
        "1,2\n\n\n3,4\n\n5\n7,8\n",
        ", line 6: got 1 value; it must be 2, as in most lines: correct it",
    ),
    "a long line": ("1,2\n3,4,5\n6,7\n", ", line 2: got 3 values; it must be 2"),
    "a short header": ("a,b\n1,2,3,4\n5,6,7,8\n", ", line 1: got 2 values; it must"),
    "a footer that follows at once": (
        "1,2\n3,4\nyearly means\n",
        ", line 3: got 1 value; it must be 2",
    ),
    "an infinite value": (
        "a,b\n1,2\n3,inf\n",
        ", line 3, column 'b': got inf; it must be finite in float32, at most 3.4e+38",
    ),
    "beyond float32": ("1,2\n3,1e39\n", ", line 2, column '2': got 1e+39; it must be"),
    "beyond float64": ("1,2\n3,1e400\n", ", line 2, column '2': got inf; it must be"),
    "a misprint": (
        "a,b\n1,2\n# no\n3,4x\n",
        ", line 4, column 'b': got '4x'; it must be a number: correct it, or take "
        "others: columns=a",
    ),
    "a misprint in the first line": (
        "1,2x\n3,4\n5,6\n",
        ", line 1, column '2': got '2x'; it must be a number",
    ),
    "thousands": (
        '"1,234",5\n"2,345",6\n',
        ", line 1, column '1': got '1,234'; it must be a number: write it without "
        "separators of thousands",
    ),
    "points and commas": (
        "1.5;2,5\n1.5;2.5\n",
        ", line 1, column '2': got '2,5'; it must be a number",
    ),
    "thousands of France": (
        "1\u00a0234\n2\u00a0345\n",
        ", line 2, column '1\\xa0234': got '2\\xa0345'; it must be a number: write "
        "it without separators of thousands",
    ),
    "a separator and nothing else": ("sep=;\n", ", line 1, column '1': got 'sep=';"),
    "names with escape codes": (
        '"a\x1b[31m","b"\n1,x\n2,y\n',
        ", line 2, column 'b': got 'x'; it must be a number: correct it, or take "
        "others: columns=a\\x1b[31m",
    ),
    "thousands of Germany": (
        "1.234,56;1\n2.345,67;2\n",
        ", line 1, column '1': got '1.234,56'; it must be a number: write it without "
        "separators of thousands",
    ),
    "a misprint in a date": (
        "when,x\n02.01.2021,1\n03.01.2021,2\n,3\n4.1;2021,4\n05.01.2021,5\n",
        ", line 5, column 'when': got '4.1;2021'; it must be a date: correct it, or",
    ),
    "an open quote": (
        '1,2\n3,"4\n5,6\n',
        ", line 2: got a quote; it must be closed: close every quote",
    ),
    "another encoding": (
        "größe\n1\n2\n".encode("latin-1"),
        ", line 1: got the byte 0xf6, which is not UTF-8; it must be text in UTF-8, or "
        "in UTF-16 that begins with a byte order mark: save it again",
    ),
    "UTF-16 without a mark": (
        "5\n11\n".encode("utf-16-le"),
        ", line 1: got a zero byte; it must be text in UTF-8, or in UTF-16 that begins",
    ),
    "UTF-16 that is cut": (
        "5\n11\n".encode("utf-16")[:-1],
        ", line 2: got the byte 0x0a, which is not UTF-16-LE; it must be text",
    ),
    "dates alone": (
        "1949-01\n1949-02\n",
        ": got no column of numbers; it must be at least one of numbers",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_is_refused_in_one_line(tmp_path, name):
    content, message = REFUSED[name]
    found = refused(saved(tmp_path, content))
    assert found[: len(message)] == message


@pytest.mark.parametrize("option", ["columns", "missing", "scale"])
def test_an_option_that_is_none_of_those_allowed(tmp_path, option):
    path = saved(tmp_path, "1\n2\n")
    with pytest.raises(ValueError, match=f"{option}: got 'x'; "):
        read_table(path, **{option: "x"})


def test_another_suffix_and_no_file_are_refused(tmp_path):
    for name in ("mine.xlsx", "mine", "mine.npy.gz"):
        found = refused(saved(tmp_path, "1\n2\n", name))
        assert "has the suffix" in found and "it must be a file of numbers" in found
    path = str(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError) as caught:
        read_table(path)
    assert str(caught.value).startswith(f"{path!r} can't be read (No such file")
    assert " is not a regular file; it must be" in refused(
        str((tmp_path / "folder.csv").mkdir() or tmp_path / "folder.csv")
    )


def test_without_pandas_one_line_names_the_extra_and_arrays_are_read(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3.0))
    code = f"""
import sys
sys.modules["pandas"] = None
from lstm_jax.data import read_table
print(read_table({str(tmp_path / "a.npy")!r}).values.tolist())
read_table({saved(tmp_path, "1")!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout == "[[0.0], [1.0], [2.0]]\n"
    assert done.stderr.splitlines()[-1].endswith(
        "tables are read by pandas: pip install 'lstm_jax[data]'"
    )


def test_a_long_table_with_its_first_comma_far_below(tmp_path):
    values = np.arange(40_000.0).reshape(-1, 2)
    values[-1] += 0.25
    text = "".join(f"{a!r};{b!r}\n" for a, b in values.tolist())
    path = saved(tmp_path, text.replace(".", ","))
    np.testing.assert_array_equal(read_table(path).values, values)


GOOD = [
    *(b"Month;A;B\n1949-01;1,5;2\n1949-02;2,5;3\n", b"5\n11\n16\n", b"a b\n1 2\n3 4\n"),
    *(b'"a","b"\n1,2\n3,4\n\nfoot\n', b"sep=;\n1;2\n3;4\n", b"1,2,\n3,4,\n"),
    *("5\n11\n".encode("utf-16"), b"d,x\n19580329,3\n19580405,\n19580412,3\n"),
]
WORDS = [
    *(
        b",",
        b";",
        b"\n",
        b'"',
        b"\t",
        b" ",
        b"NA",
        b"\xff",
        b"\0",
        b"1e400",
        b"-",
        b"#",
    ),
    *(b"\r", b"inf", b"True", b"1949", b"1.2.3", b"\xef\xbb\xbf", b"0,05", b"x"),
]


@pytest.mark.slow
def test_a_damaged_table_is_read_or_refused_in_one_line(tmp_path):
    draw, refusals = random.Random(2026), 0
    for _ in range(300):
        content = draw.choice(GOOD)
        for _ in range(draw.choice((1, 1, 2, 4))):
            at = draw.randrange(len(content) + 1)
            gone = draw.choice((0, 0, 1, 3))
            content = content[:at] + draw.choice(WORDS) + content[at + gone :]
        path = saved(tmp_path, content)
        try:
            table = read_table(path, missing=draw.choice(("error", "drop")))
            assert np.isfinite(table.values).all()
        except ValueError as error:
            refusals += 1
            assert str(error).startswith(repr(path)) and str(error).isprintable()
    assert 50 < refusals < 300
