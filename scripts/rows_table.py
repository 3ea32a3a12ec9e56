"""The table of rows in docs/results.md: what was published, ours, and the verdict."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.common import records, rows
from experiments.common.rows import Check, Row

LEGEND = """
Each row is a result of the field, run again by the command at its end. Published and
ours are of its first criterion that has a published value; all criteria follow below.
Ours has its 95 % interval over seeds in brackets, where there are seeds. The verdict is
computed from the stored record: reproduced if all criteria hold, partly, or not. What
is told beside them and not asked, counts for nothing.
"""

HOLDS = {True: "yes", False: "**no**", None: "not asked"}


class Found(NamedTuple):
    """A row with its stored record and what the criteria say of it."""

    name: str
    row: Row
    record: records.Record
    checks: Sequence[Check]


def stored(reference: Path) -> list[Found]:
    """Returns the rows with a record of one of their sizes, in order."""
    found = []
    for name, module in rows.modules().items():
        if not records.is_in(reference / name):
            continue
        record = records.load(reference / name)
        if rows.size_of(record):
            checks = rows.checked(record, module.ROW, reference / name)
            found.append(Found(name, module.ROW, record, checks))
    return found


def text(found: Iterable[Found]) -> str:
    """Returns the table and the criteria of every row, as Markdown; "" of no rows."""
    found = list(found)
    if not found:
        return ""
    overview = markdown([_line(each) for each in found])
    return "\n\n".join([LEGEND.strip(), overview, *map(_criteria, found)])


def _line(found: Found) -> dict[str, str]:
    row, made = found.row, found.record.made
    asked = [check for check in found.checks if check.holds is not None]
    first = next((check for check in asked if check.published), asked[0])
    size = made["size"]
    return {
        "row": row.number,
        "result": row.title,
        "source": _linked(row.source),
        "published": first.published or "-",
        "ours": first.ours,
        "verdict": f"{rows.verdict(row, found.checks)}, {rows.tally(found.checks)}",
        "time": f"{made['wall_seconds']:.0f} s",
        "command": f"`./scripts/reproduce --only={found.name} --size={size}`",
    }


def _criteria(found: Found) -> str:
    made = found.record.made
    lines = [
        {
            "criterion": check.what,
            "published": check.published or "-",
            "ours": check.ours,
            "holds": HOLDS[check.holds],
        }
        for check in found.checks
    ]
    setting = (
        f"`experiments/reference/{found.name}`: {made['device']}, {made['threads']} "
        f"threads, jax {made['versions']['jax']}, commit {made['commit']}, "
        f"{made['date'][:10]}."
    )
    title = f"### {found.row.number}. {found.row.title}"
    return f"{title}\n\n{setting}\n\n{markdown(lines)}"


def _linked(source: str) -> str:
    """Returns a source with its addresses as links that a page can break."""
    return re.sub(r"https?://[^\s,;)]+", lambda match: f"<{match[0]}>", source)


def markdown(lines: list[dict[str, Any]]) -> str:
    """Returns a table; all lines have the same columns."""
    head, *_ = lines
    written = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    cells = ([str(cell).replace("|", r"\|") for cell in l.values()] for l in lines)
    return "\n".join([*written, *("| " + " | ".join(each) + " |" for each in cells)])
