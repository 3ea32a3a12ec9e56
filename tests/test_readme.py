"""The README: its example runs, its tables are the records', its files exist."""

import re
from pathlib import Path

import pytest

from benchmarks import table as bench
from experiments.common import records
from scripts import results

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
HOW_TO_REGENERATE = "run: ./scripts/results"


def test_what_is_made_from_records_is_what_they_say():
    assert results.with_results(README) == README, HOW_TO_REGENERATE
    for name in results.TABLES:
        assert results.block(name) in README
    assert results.findings() in README


@pytest.mark.parametrize("document", results.DOCS)
def test_the_tables_of_cells_and_tasks_are_theirs(document):
    text = results.DOCS[document]()
    assert (ROOT / document).read_text() == text, HOW_TO_REGENERATE
    for path in re.findall(r"\]\(\.\./([^)]+)\)", text):
        assert (ROOT / path).exists()


@pytest.mark.parametrize("name", [*results.TABLES, *results.VERDICTS])
def test_a_reference_is_of_a_commit(name):
    record = records.load(ROOT / "experiments" / "reference" / name)
    assert record.experiment == name
    assert record.made["commit"]


def test_the_benchmarks_tables_are_those_of_its_record():
    lines = bench.read(bench.RECORD)
    text = bench.README.read_text()
    assert bench.with_tables(text, lines) == text, "run: ./scripts/bench table"
    assert bench.RECORD.stat().st_size < 1_000_000


def test_the_examples_run(capsys):
    in_ten_lines, lengths, scan = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    exec(compile(in_ten_lines, "README.md", "exec"), {})
    shape, rate = capsys.readouterr().out.splitlines()
    assert shape == "(100, 16)"
    assert abs(float(rate)) < 1
    exec(compile(lengths, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.split()) >= 3
    exec(compile(scan, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("weighted scan")


def test_the_files_it_names_exist():
    links = re.findall(r"\]\(([^):]+)\)", README)
    assert links
    (tree,) = re.findall(r"## The tree\n\n```\n(.*?)```", README, flags=re.S)
    names = re.findall(r"\b[\w/]+\.(?:py|md)\b", tree)
    files = {path.name for path in ROOT.rglob("*.py") if ".venv" not in path.parts}
    assert set(names) <= files
    assert [link for link in links if not (ROOT / link).exists()] == []
