"""The record as tables; `./scripts/bench table` writes them into the README here."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shapes import TINY

HERE = Path(__file__).parent
README, RECORD = HERE / "README.md", HERE / "results" / "record.jsonl"
RULE = "one or two devices by the rule"
RULED = {"layer": "forward+backward", "training": "10 steps"}  # case: work
MOST_WEIGHTS = 2 * 2**20  # bytes
BLOCK = re.compile(r"(<!-- (\w+): [^\n]*-->\n).*?(<!-- end -->)", flags=re.S)

Line = dict[str, Any]


def row(line: Line) -> str:
    """Returns one line of the record for a terminal."""
    if line["kind"] == "header":
        return "\n".join(f"{name}: {value}" for name, value in line.items()) + "\n"
    quiet = "" if line["quiet"] else f"  NOT QUIET, {line['dropped']} rounds disturbed"
    return (
        f"{line['case']:10} {line['shape']:10} {line['work']:17} {line['measure']:8}"
        f"{line['our_side']} {line['ours']:g} {line['unit']}, "
        f"{line['peer_side']} {line['peer']:g} {line['unit']}: "
        f"ratio {line['ratio']:.2f} [{line['q1']:.2f}, {line['q3']:.2f}]{quiet}"
    )


def read(path: Path) -> list[Line]:
    """Returns the ratios of a record, each with the header it was made under."""
    lines, header = [], {}
    for written in path.read_text().splitlines() if path.exists() else []:
        line = json.loads(written)
        if line["kind"] == "header":
            header = line
        elif line["shape"] != TINY.name:
            lines.append({**line, "header": header})
    return lines


def latest(lines: Iterable[Line]) -> list[Line]:
    """Returns the last line of every comparison."""
    names = ("case", "shape", "devices", "work", "measure", "our_side", "peer_side")
    return list({tuple(line[name] for name in names): line for line in lines}.values())


def tables(lines: Sequence[Line], case: str) -> str:
    """Returns the tables of a case: one per devices, work and measure."""
    lines = [line for line in latest(lines) if line["case"] == case]
    if not lines:
        return "Not run yet.\n"
    groups: dict[tuple, list[Line]] = {}
    for line in lines:
        key = (line["devices"], line["work"], line["measure"], line["unit"])
        groups.setdefault(key, []).append(line)
    blocks = [_made(lines)]
    for (devices, work, measure, unit), group in groups.items():
        title = f"**{work}, {measure}** ({unit}), {_devices(devices)}"
        blocks += [title, _table(group)]
    return "\n\n".join(blocks) + "\n"


def summary(lines: Sequence[Line]) -> str:
    """Returns one row per comparison of time: its shapes taken together.

    The forward pass alone, layers on several devices, memory and compile time are left
    to the full tables.
    """
    every = latest(lines)
    lines = [
        line
        for line in every
        if line["measure"] == "time"
        and line["work"] != "forward"
        and (line["devices"] == 1 or line["case"] not in RULED)
    ]
    if not lines:
        return "Not run yet.\n"
    groups: dict[tuple, list[Line]] = {}
    names = ("case", "work", "our_side", "peer_side", "devices")
    for line in lines:
        groups.setdefault(tuple(line[name] for name in names), []).append(line)
    head = ["what", "lstm_jax", "against", "mean ratio", "lowest", "highest"]
    chosen = [_on_chosen_devices(every, case) for case in RULED]
    rows = [head, ["---"] * len(head)]
    rows += [_summed_up(group, RULE) for group in chosen if group]
    rows += map(_summed_up, groups.values())
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
    return f"{_machines(lines)}\n\n{table}\n"


def _machines(lines: Sequence[Line]) -> str:
    headers = [line["header"] for line in lines]
    return "\n".join(
        dict.fromkeys(
            f"{header['date'][:10]}, {header['cpu']}, {header['cores']} cores, "
            f"jax {header['versions']['jax']}, torch {header['versions']['torch']}; "
            "peer's time / ours:"
            for header in headers
        )
    )


def chosen_devices(shape: Line) -> int:
    """Returns the devices of the CPU that a layer runs on, of one and two.

    Two where its weights, 4 H (D + H) float32, take at most 2 MiB and the batch can be
    halved; elsewhere each device would stream all of the weights.
    """
    size = 4 * 4 * shape["H"] * (shape["D"] + shape["H"])
    return 2 if size <= MOST_WEIGHTS and shape["B"] % 2 == 0 else 1


def _on_chosen_devices(lines: Sequence[Line], case: str) -> list[Line]:
    """Returns a case against PyTorch, every shape on the devices of the rule."""
    return [
        line
        for line in lines
        if (line["case"], line["work"]) == (case, RULED[case])
        and (line["measure"], line["peer_side"]) == ("time", "PyTorch")
        and line["devices"] == chosen_devices(line)
    ]


def _summed_up(group: Sequence[Line], note: str = "") -> list[str]:
    first, *_ = group = sorted(group, key=lambda line: line["ratio"])
    last = group[-1]
    mean = np.exp(np.mean(np.log([line["ratio"] for line in group])))
    what = f"{first['case']}, {first['work']}"
    if note or first["devices"] > 1:
        what += f", {note or _devices(first['devices'])}"
    ends = [f"{end['ratio']:.2f} ({end['shape']})" for end in (first, last)]
    return [what, first["our_side"], first["peer_side"], f"**{mean:.2f}**", *ends]


def with_tables(text: str, lines: Sequence[Line]) -> str:
    """Returns the README with the tables of a record between its marks."""
    return BLOCK.sub(lambda m: f"{m[1]}\n{tables(lines, m[2])}\n{m[3]}", text)


def _table(group: Sequence[Line]) -> str:
    shapes = list(dict.fromkeys(line["shape"] for line in group))
    sides = list(dict.fromkeys((one["our_side"], one["peer_side"]) for one in group))
    head = ["lstm_jax", "against", *shapes, "geometric mean"]
    rows = [head, ["---"] * len(head)]
    for ours, peer in sides:
        found = {
            line["shape"]: line
            for line in group
            if (line["our_side"], line["peer_side"]) == (ours, peer)
        }
        cells = [_cell(found[shape]) if shape in found else "" for shape in shapes]
        logs = np.log([line["ratio"] for line in found.values()])
        rows.append([ours, peer, *cells, f"{np.exp(np.mean(logs)):.2f}"])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def _cell(line: Line) -> str:
    ratio = f"**{line['ratio']:.2f}**"
    if line["measure"] != "memory":
        ratio += f" [{line['q1']:.2f}, {line['q3']:.2f}]"
    disturbed = "" if line["quiet"] else " (disturbed)"
    return f"{ratio}{disturbed}<br>{_short(line['ours'])}, {_short(line['peer'])}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _devices(count: int) -> str:
    return "one device" if count == 1 else f"{count} devices of the CPU"


def _made(lines: Sequence[Line]) -> str:
    """Returns where the numbers come from: one line per run that gave some."""
    headers = {str(line["header"]): line["header"] for line in lines}
    return "\n".join(
        f"* {header['date'][:10]}, commit {header['commit']}, {header['cpu']}, "
        f"{header['cores']} cores, {header['torch_threads']} threads of PyTorch, "
        f"{_devices(header['devices'])}, jax {header['versions']['jax']}, "
        f"torch {header['versions']['torch']}, "
        f"compiler options {header['compiler_options'] or 'none'}, "
        f"{header['rounds']} rounds"
        for header in headers.values()
    )


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(), read(RECORD)))
