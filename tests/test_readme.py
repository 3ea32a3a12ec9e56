"""The README: its example runs, its tables are the records', its files exist."""

import re
from pathlib import Path

import pytest

from benchmarks import table as bench
from experiments.common import records
from scripts import results

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_what_is_made_from_records_is_what_they_say():
    for path, wanted in results.written().items():
        text = path.read_text()
        assert wanted == text, f"{path.name} is not; run: ./scripts/results"
        if path.parent.name == "docs":
            links = re.findall(r"\]\((\.\./[^)#]+)", text)
            assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("name", [*results.TABLES, *results.verdicts()])
def test_a_reference_is_of_a_commit(name):
    record = records.load(ROOT / "experiments" / "reference" / name)
    assert record.experiment == name
    assert record.made["commit"]


def test_the_benchmarks_tables_are_those_of_its_record():
    lines = bench.read(bench.RECORD)
    text = bench.README.read_text()
    assert bench.with_tables(text, lines) == text, "run: ./scripts/bench table"
    assert bench.RECORD.stat().st_size < 1_000_000


def test_the_example_prints_what_the_page_says(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    (printed,) = re.findall(r"```text\n(.*?)```", README, flags=re.S)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out == printed


def test_it_is_read_in_one_go():
    assert len(README.splitlines()) <= 150


def test_the_files_it_names_exist():
    links = re.findall(r"\]\(([^):#]+)(?:#\w+)?\)", README)
    assert links
    (tree,) = re.findall(r"## The tree\n\n```\n(.*?)```", README, flags=re.S)
    names = re.findall(r"\b[\w/]+\.(?:py|md)\b", tree)
    folders = [folder for folder in ROOT.glob("[!.]*") if folder.is_dir()]
    files = {path.name for folder in folders for path in folder.rglob("*.py")}
    assert set(names) <= files
    assert [link for link in links if not (ROOT / link).exists()] == []
