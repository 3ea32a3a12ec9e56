"""Writes what docs say of records, cells and tasks: tables, verdicts, timings."""

import inspect
import re
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import lstm_jax as lj
from benchmarks import table as bench
from experiments.common import cli, describing, records, rows, usage, wording
from experiments.common.errors import ConfigError
from experiments.figures.nature_show import SOLVED
from lstm_jax.descriptions import whole
from scripts import rows_table, which_memory
from scripts.rows_table import markdown

ROOT = Path(__file__).parent.parent
TABLES = ("gradient_decay", "nature_show", "trainability")
PUBLISHED = (
    "Results of the field, published numbers beside ours ([docs/results.md]"
    "(docs/results.md)), by `./scripts/reproduce` or each by its own command:\n"
)
ORDER = (rows.REPRODUCED, rows.PARTLY, rows.NOT, rows.NOTHING_PUBLISHED)
UNSTORED = "not run at full size yet"
REFERENCE = ROOT / "experiments" / "reference"
HOW_TO_READ = """
Above 1, lstm_jax is faster; mean, lowest and highest are over the shapes of
`benchmarks/README.md`, which has every number with its spread. By the rule, a layer and
ten updates run on two devices of the CPU where weights are small and the batch is even.
"""


def block(name: str) -> str:
    """Returns the table of a record, with the setting it was made in."""
    record = _record(name)
    config, made = record.config, record.made
    setting = (
        f"Hidden {config['hidden_size']}, {config['num_steps']} updates, "
        f"{config['num_seeds']} seeds; {made['wall_seconds']:.0f} s on "
        f"{describing.device(made)}, jax {made['versions']['jax']}, "
        f"{made['date'][:10]}:"
    )
    if "lag" in config:
        setting = f"Lag {config['lag']}. {setting}"
    story = "\n".join(line for line in record.verdict if line)
    return f"{setting}\n\n{markdown(record.rows)}\n\n```text\n{story}\n```"


def _record(name: str) -> records.Record:
    return records.load(REFERENCE / name)


def findings() -> str:
    """Returns the verdicts of the other records, each with its time."""
    parts = []
    for name in verdicts():
        record = _record(name)
        seconds = record.made["wall_seconds"]
        words = "\n".join(line for line in record.verdict if line)
        parts.append(f"`{name}`, {seconds:.0f} s:\n\n```text\n{words}\n```")
    return "\n\n".join(parts)


def remembered() -> str:
    """Returns how many networks of the demo's record remember the bear."""
    record = _record("gradient_decay")
    config, made = record.config, record.made
    lines = []
    for entry in record.axes["variant"]:
        right = records.take(record, "accuracy", variant=entry, stage="trained")
        lines.append(
            {
                "cell": entry["label"].replace("b_f=", "forget bias "),
                "networks that remember": f"{_solved(right)} of {len(right)}",
                "right answers": f"{right.min():.2f} to {right.max():.2f}",
            }
        )
    setting = (
        f"{config['lag']} images between the first and the last; "
        f"{config['num_steps']} updates; {made['wall_seconds']:.0f} s on "
        f"{describing.device(made)}, {made['date'][:10]}. Without memory 1/2 is right:"
    )
    return f"{setting}\n\n{markdown(lines)}"


def _solved(right: np.ndarray) -> int:
    return int((right >= SOLVED).sum())


def verdicts() -> list[str]:
    """Returns the experiments with a stored record whose verdict is quoted."""
    stored = {path.parent.name for path in REFERENCE.glob("*/record.json")}
    return sorted(stored - {*TABLES})


def experiments() -> str:
    """Returns a row per command: what its record found, or else what it asks.

    Results of the field have a table of their own in docs/results.md, and a line for
    each verdict here.
    """
    known = rows.modules()
    told = [
        {
            "command": f"`./scripts/run {name}`",
            "what it found, or is for": _clause(name, question),
        }
        for name, question in usage.questions().items()
        if name not in known
    ]
    return f"{markdown(told)}\n\n{PUBLISHED}\n{published()}"


def published() -> str:
    """Returns a line for each verdict with the rows that have it, then the others."""
    found = {
        of.name: rows.verdict(of.row, of.checks) for of in rows_table.stored(REFERENCE)
    }
    named: dict[str, list[str]] = {what: [] for what in (*ORDER, UNSTORED)}
    for name, module in rows.modules().items():
        title = module.ROW.title[0].lower() + module.ROW.title[1:]
        named[found.get(name, UNSTORED)].append(f"{title} (`{name}`)")
    return "\n".join(f"* {what}: {'; '.join(of)}." for what, of in named.items() if of)


def _clause(name: str, question: str) -> str:
    found = CLAUSES.get(name)
    clause = question if found is None else found(_record(name))
    return clause.replace("b_f=", "forget bias ")


def _nature_show(record: records.Record) -> str:
    lags, seeds, reached = record.axes["lag"], record.config["num_seeds"], []
    for entry in record.axes["variant"]:
        right = records.take(record, "accuracy", variant=entry)
        most = (right >= SOLVED).mean(0) > 0.5
        farthest = max((lag for lag, m in zip(lags, most, strict=True) if m), default=0)
        reached.append(f"{farthest} ({entry['label']})")
    return f"farthest lag that most of {seeds} seeds learn: {', '.join(reached)}"


def _trainability(record: records.Record) -> str:
    within = record.rows[0]
    return (
        "before training, the gradient's signal over noise tells which LSTMs will "
        f"learn the show: area under the ROC curve {within['ROC area, signal / noise']}"
    )


def _gradient_paths(record: records.Record) -> str:
    *_, trained = record.rows
    return (
        f"in a trained {trained['cell']}, {trained['cell path']} of the gradient comes "
        "along what the forget gate keeps; the last "
        f"{trained['effective window'].split()[1]} steps make its update"
    )


def _explain(record: records.Record) -> str:
    after, before = (
        re.findall(r"for ([\d.]+) steps", record.verdict[line])[0] for line in (2, -1)
    )
    return (
        "after training to add over 100 steps, the slowest unit keeps half of its "
        f"memory for {after} steps; before, for {before}"
    )


def _fading(record: records.Record) -> str:
    lag, left = record.axes["far_lag"][-2], []
    for entry in record.axes["far_variant"]:
        shares = records.take(record, "far_log_share", far_variant=entry, far_lag=lag)
        left.append(f"{wording.power(np.median(shares))} ({entry['label']})")
    return (
        f"share of the gradient that is left {lag} steps back, before training: "
        f"{', '.join(left)}"
    )


def _line(number: int) -> Callable[[records.Record], str]:
    """Returns the clause that is a line of the verdict."""
    return lambda record: record.verdict[number].strip(" .:")


CLAUSES: dict[str, Callable[[records.Record], str]] = {
    "explain": _explain,
    "gradient_decay": _fading,
    "gradient_paths": _gradient_paths,
    "nature_show": _nature_show,
    "train": _line(0),
    "trainability": _trainability,
}


def with_results(readme: str) -> str:
    """Returns the README with all that is made from records."""
    readme = _filled(readme, "found", f"\n{remembered()}\n\n")
    readme = _filled(readme, "speed", f"{speed()}\n")
    return _filled(readme, "experiments", f"\n{experiments()}\n\n")


def speed() -> str:
    """Returns the benchmark in two sentences."""
    return bench.in_words(bench.read(bench.RECORD))


def all_results() -> str:
    """Returns `docs/results.md`: the tables and verdicts of the stored records."""
    parts = ["# Results", "Made by `./scripts/results` from the stored records."]
    if table := rows_table.text(rows_table.stored(REFERENCE)):
        parts += ["## The results of the field", table]
    for name in TABLES:
        parts += [f"## {name}", usage.questions()[name], block(name)]
    parts += ["## The others, in the words of their records", findings()]
    parts += ["## Speed", bench.summary(bench.read(bench.RECORD)), HOW_TO_READ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def cells() -> str:
    """Returns `docs/cells.md`: every cell of `lj.CELLS`, in the words of its file."""
    lines = [
        {
            **_named(name, import_module(f"lstm_jax.cells.{name}")),
            "gates": ", ".join(cell.gates),
            "memory that is kept": cell.memory or "none",
        }
        for name, cell in lj.CELLS.items()
    ]
    return _document("cells", lines)


def tasks() -> str:
    """Returns `docs/tasks.md`: every task of `lj.TASKS`, in the words of its file."""
    lines = [
        {
            **_named(name, import_module(whole(task.floor).__module__)),
            "inputs": str(task.input_size),
            "outputs": str(task.output_size),
            "answers": task.answers.replace("_", " "),
        }
        for name, task in lj.TASKS.items()
    ]
    return _document("tasks", lines)


def _document(what: str, lines: list[dict[str, Any]]) -> str:
    said = f"`lj.{what.upper()}` has them by name. This page is made by"
    return f"# The {what}\n\n{said} `./scripts/results`.\n\n{markdown(lines)}\n"


def _named(name: str, module: ModuleType) -> dict[str, str]:
    path = module.__name__.replace(".", "/")
    first, *_ = inspect.cleandoc(module.__doc__ or "").split("\n\n")
    return {"name": f"[`{name}`](../{path}.py)", "": first.replace("\n", " ")}


DOCS = {
    "docs/cells.md": cells,
    "docs/tasks.md": tasks,
    "docs/results.md": all_results,
    "docs/which_memory.md": partial(which_memory.page, _record),
}


def written() -> dict[Path, str]:
    """Returns every generated file with what it should hold."""
    readme = ROOT / "README.md"
    return {readme: with_results(readme.read_text())} | {
        ROOT / document: text() for document, text in DOCS.items()
    }


def _filled(readme: str, name: str, text: str) -> str:
    """Returns the README with a text between the marks of that name."""
    marks = rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end -->)"
    return re.sub(marks, lambda m: m[1] + text + m[2], readme, flags=re.S)


def main(arguments: list[str]) -> None:
    """Writes the generated files; with --check, only compares them."""
    if arguments not in ([], ["--check"]):
        sys.exit(f"error: got {' '.join(arguments)}; it must be --check or nothing")
    stale = [path for path, text in written().items() if path.read_text() != text]
    if arguments and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        sys.exit(f"error: not what the records say: {names}; run ./scripts/results")
    for path, text in written().items() if stale else ():
        path.write_text(text)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ConfigError as error:
        cli.stop(str(error), 2)
