"""Writes what docs say of records, cells and tasks: tables, verdicts, timings."""

import inspect
import re
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import lstm_jax as lj
from benchmarks import table as bench
from experiments.common import records

ROOT = Path(__file__).parent.parent
TABLES = ("gradient_decay", "nature_show", "trainability")
REFERENCE = ROOT / "experiments" / "reference"
VERDICTS = sorted({path.name for path in REFERENCE.iterdir()} - {*TABLES})


def block(name: str) -> str:
    """Returns the table of a record, with the setting it was made in."""
    record = _record(name)
    config, made = record.config, record.made
    setting = (
        f"Hidden {config['hidden_size']}, {config['num_steps']} updates, "
        f"{config['num_seeds']} seeds; {made['wall_seconds']:.0f} s on "
        f"{made['device']}, jax {made['versions']['jax']}, {made['date'][:10]}:"
    )
    if "lag" in config:
        setting = f"Lag {config['lag']}. {setting}"
    story = [line for line in record.verdict if line.startswith("The last image")]
    return "\n\n".join([setting, _table(record.rows), *(f"> {line}" for line in story)])


def _record(name: str) -> records.Record:
    return records.load(REFERENCE / name)


def _table(rows: list[dict[str, Any]]) -> str:
    head, *_ = rows
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row.values()) + " |" for row in rows]
    return "\n".join(lines)


def findings() -> str:
    """Returns the verdicts of the other records, each with its time."""
    parts = []
    for name in VERDICTS:
        record = _record(name)
        seconds = record.made["wall_seconds"]
        words = "\n".join(line for line in record.verdict if line)
        parts.append(f"`{name}`, {seconds:.0f} s:\n\n```text\n{words}\n```")
    return "\n\n".join(parts)


def with_results(readme: str) -> str:
    """Returns the README with all that is made from records."""
    for name in TABLES:
        readme = _filled(readme, name, f"\n{block(name)}\n\n")
    readme = _filled(readme, "findings", f"\n{findings()}\n\n")
    summary = bench.summary(bench.read(bench.RECORD))
    return _filled(readme, "bench", f"\n{summary}\n")


def cells() -> str:
    """Returns `docs/cells.md`: every cell of `lj.CELLS`, in the words of its file."""
    rows = [
        {
            **_named(name, import_module(f"lstm_jax.cells.{name}")),
            "gates": ", ".join(cell.gates),
            "memory that is kept": cell.memory or "none",
        }
        for name, cell in lj.CELLS.items()
    ]
    return _document("cells", rows)


def tasks() -> str:
    """Returns `docs/tasks.md`: every task of `lj.TASKS`, in the words of its file."""
    rows = [
        {
            **_named(name, _module(task.floor)),
            "inputs": str(task.input_size),
            "outputs": str(task.output_size),
            "answers": task.answers.replace("_", " "),
        }
        for name, task in lj.TASKS.items()
    ]
    return _document("tasks", rows)


def _document(what: str, rows: list[dict[str, Any]]) -> str:
    said = f"`lj.{what.upper()}` has them by name. This page is made by"
    return f"# The {what}\n\n{said} `./scripts/results`.\n\n{_table(rows)}\n"


def _named(name: str, module: ModuleType) -> dict[str, str]:
    path = module.__name__.replace(".", "/")
    first, *_ = inspect.cleandoc(module.__doc__ or "").split("\n\n")
    return {"name": f"[`{name}`](../{path}.py)", "": first.replace("\n", " ")}


def _module(function: Callable) -> ModuleType:
    """Returns the file in which a function is written."""
    while isinstance(function, partial):
        function = function.func
    return import_module(function.__module__)


DOCS = {"docs/cells.md": cells, "docs/tasks.md": tasks}


def _filled(readme: str, name: str, text: str) -> str:
    """Returns the README with a text between the marks of that name."""
    marks = rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end -->)"
    return re.sub(marks, lambda m: m[1] + text + m[2], readme, flags=re.S)


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(with_results(path.read_text()))
    for document, text in DOCS.items():
        (ROOT / document).write_text(text())
