"""Writes into the README what the records say: tables, verdicts, timings."""

import re
from pathlib import Path
from typing import Any

from benchmarks import table as bench
from experiments.common import records

ROOT = Path(__file__).parent.parent
TABLES = ("gradient_decay", "nature_show", "trainability")
VERDICTS = (
    *("train", "explain", "gradient_paths"),
    *("jacobian_laws", "lyapunov", "latch", "cliff"),
)


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
    return records.load(ROOT / "experiments" / "reference" / name)


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


def _filled(readme: str, name: str, text: str) -> str:
    """Returns the README with a text between the marks of that name."""
    marks = rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end -->)"
    return re.sub(marks, lambda m: m[1] + text + m[2], readme, flags=re.S)


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(with_results(path.read_text()))
