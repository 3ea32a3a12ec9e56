"""The README: its example runs, its tables are the records', its files exist."""

import re
from pathlib import Path

import pytest

from benchmarks import table as bench
from experiments.common import records

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
TABLES = ("gradient_decay", "nature_show", "trainability")
FINDINGS = (
    *(
        "train",
        "explain",
        "gradient_paths",
        "jacobian_laws",
        "lyapunov",
        "latch",
        "cliff",
    ),
)
HOW_TO_REGENERATE = "run: python tests/test_readme.py, after a new reference record"


def table(rows):
    head, *_ = rows
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row.values()) + " |" for row in rows]
    return "\n".join(lines)


def block(name):
    """The table of a record, with the setting it was made in."""
    record = records.load(ROOT / "experiments" / "reference" / name)
    config, made = record.config, record.made
    setting = (
        f"Hidden {config['hidden_size']}, {config['num_steps']} updates, "
        f"{config['num_seeds']} seeds; {made['wall_seconds']:.0f} s on "
        f"{made['device']}, jax {made['versions']['jax']}, {made['date'][:10]}:"
    )
    if "lag" in config:
        setting = f"Lag {config['lag']}. {setting}"
    story = [line for line in record.verdict if line.startswith("The last image")]
    return "\n\n".join([setting, table(record.rows), *(f"> {line}" for line in story)])


def with_block(text, name):
    pattern = rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end -->)"
    return re.sub(
        pattern, lambda m: m[1] + "\n" + block(name) + "\n\n" + m[2], text, flags=re.S
    )


def findings():
    """The verdicts of the other records, each with its time."""
    lines = []
    for name in FINDINGS:
        record = records.load(ROOT / "experiments" / "reference" / name)
        seconds = record.made["wall_seconds"]
        words = "\n".join(line for line in record.verdict if line)
        lines.append(f"`{name}`, {seconds:.0f} s:\n\n```text\n{words}\n```")
    return "\n\n".join(lines)


def with_findings(text):
    return re.sub(
        r"(<!-- findings: [^\n]*-->\n).*?(<!-- end -->)",
        lambda m: f"{m[1]}\n{findings()}\n\n{m[2]}",
        text,
        flags=re.S,
    )


def with_bench(text):
    summary = bench.summary(bench.read(bench.RECORD))
    return re.sub(
        r"(<!-- bench: [^\n]*-->\n).*?(<!-- end -->)",
        lambda m: f"{m[1]}\n{summary}\n{m[2]}",
        text,
        flags=re.S,
    )


@pytest.mark.parametrize("name", TABLES)
def test_the_table_is_that_of_the_record(name):
    assert block(name) in README, HOW_TO_REGENERATE


def test_the_findings_are_those_of_the_records():
    assert findings() in README, HOW_TO_REGENERATE


@pytest.mark.parametrize("name", [*TABLES, *FINDINGS])
def test_a_reference_is_whole_clean_and_small(name):
    folder = ROOT / "experiments" / "reference" / name
    record = records.load(folder)
    assert record.experiment == name
    assert record.made["commit"]
    for path in folder.iterdir():
        assert path.stat().st_size < 1_000_000, path


def test_the_benchmarks_tables_are_those_of_its_record():
    lines = bench.read(bench.RECORD)
    assert with_bench(README) == README, "run: python tests/test_readme.py"
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


if __name__ == "__main__":
    text = README
    for experiment in TABLES:
        text = with_block(text, experiment)
    text = with_bench(with_findings(text))
    (ROOT / "README.md").write_text(text)
