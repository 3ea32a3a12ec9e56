"""The record as tables, which `./scripts/bench table` writes into the README here."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shapes import TINY

HERE = Path(__file__).parent
README, RESULTS = HERE / "README.md", HERE / "results"
RECORD, OF_GPU = RESULTS / "record.jsonl", RESULTS / "gpu.jsonl"
RULE = "one or two devices by the rule"
RULED = {"layer": "forward+backward", "training": "10 steps"}  # case: work
SPELT = {"layer": "a layer, forward and backward", "training": "ten updates"}
MOST_WEIGHTS = 2 * 2**20  # bytes
BLOCK = re.compile(r"(<!-- (\w+): [^\n]*-->\n).*?(<!-- end -->)", flags=re.S)

Line = dict[str, Any]


def row(line: Line) -> str:
    """Returns one line of the record for a terminal."""
    if line["kind"] == "header":
        return "\n".join(f"{name}: {value}" for name, value in line.items()) + "\n"
    if line["kind"] == "not run":
        return f"{line['case']:10} {line['what']}: not run: {line['why']}"
    quiet = "" if line["quiet"] else f"  NOT QUIET, {line['dropped']} rounds disturbed"
    return (
        f"{line['case']:10} {line['shape']:10} {line['work']:17} {line['measure']:8}"
        f"{line['our_side']} {line['ours']:g} {line['unit']}, "
        f"{line['peer_side']} {line['peer']:g} {line['unit']}: "
        f"ratio {line['ratio']:.2f} [{line['q1']:.2f}, {line['q3']:.2f}]{quiet}"
    )


def read(path: Path) -> list[Line]:
    """Returns the ratios of a record, each with the header of its run."""
    lines, header = [], {}
    for written in path.read_text().splitlines() if path.exists() else []:
        line = json.loads(written)
        if line["kind"] == "header":
            header = line
        elif line["kind"] == "ratio" and line["shape"] != TINY.name:
            lines.append({**line, "header": header})
    return lines


def latest(lines: Iterable[Line]) -> list[Line]:
    """Returns the last line of every comparison."""
    names = ("case", "shape", "devices", "work", "measure", "our_side", "peer_side")
    return list({tuple(line[name] for name in names): line for line in lines}.values())


def tables(lines: Sequence[Line], case: str) -> str:
    """Returns the tables of a case, one for each devices, work and measure."""
    lines = [line for line in latest(lines) if line["case"] == case]
    if not lines:
        return "Not run yet.\n"
    blocks = [_made(lines)]
    names = ("devices", "work", "measure", "unit")
    for (devices, work, measure, unit), group in _grouped(lines, names).items():
        title = f"**{work}, {measure}** ({unit}), {_devices(devices)}"
        blocks += [title, _table(group)]
    return "\n\n".join(blocks) + "\n"


def tables_of_gpu(path: Path) -> str:
    """Returns the tables of a record of `--gpu`, by case and precision."""
    groups = _grouped(read(path), ("case", "precision"))
    blocks = [
        f"### {case}, products in {precision}\n\n{tables(lines, case)}"
        for (case, precision), lines in groups.items()
    ]
    return "\n".join(blocks) or "Not run yet.\n"


def _grouped(lines: Iterable[Line], names: Sequence[str]) -> dict[tuple, list[Line]]:
    groups: dict[tuple, list[Line]] = {}
    for line in lines:
        groups.setdefault(tuple(line[name] for name in names), []).append(line)
    return groups


def summary(lines: Sequence[Line]) -> str:
    """Returns one row per comparison of time, over all of its shapes.

    The forward pass alone, layers on several devices, memory and compile time appear
    only in the full tables.
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
    names = ("case", "work", "our_side", "peer_side", "devices")
    head = ["what", "lstm_jax", "against", "mean ratio", "lowest", "highest"]
    chosen = [_on_chosen_devices(every, case) for case in RULED]
    rows = [_summed_up(group, RULE) for group in chosen if group]
    rows += map(_summed_up, _grouped(lines, names).values())
    return f"{_machines(lines)}\n\n{_markdown(head, rows)}\n"


def in_words(lines: Sequence[Line], of_gpu: Path = OF_GPU) -> str:
    """Returns what a stranger asks first: PyTorch's time over ours, and of a GPU."""
    told = []
    for case, what in SPELT.items():
        group = _on_chosen_devices(latest(lines), case)
        if group:
            _, _, _, mean, lowest, highest = _summed_up(group)
            told.append(f"{mean} for {what}, from {lowest} to {highest}")
    on_a_gpu = any(not line["header"].get("rehearsed") for line in read(of_gpu))
    return (
        "PyTorch's time divided by ours (above 1, ours is faster) on a CPU of two "
        "cores, geometric mean and extremes over shapes: "
        f"{'; '.join(told) or 'not run yet'}. "
        f"{'A GPU has' if on_a_gpu else 'No GPU has'} been timed."
    )


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    every = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in every)


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
    """Returns the number of CPU devices that a layer runs on.

    Two if its weights, 4 H (D + H) float32, take at most 2 MiB and the batch can be
    halved; otherwise one, because each device would stream all of the weights.
    """
    size = 4 * 4 * shape["H"] * (shape["D"] + shape["H"])
    return 2 if size <= MOST_WEIGHTS and shape["B"] % 2 == 0 else 1


def _on_chosen_devices(lines: Sequence[Line], case: str) -> list[Line]:
    """Returns a case against PyTorch, each shape on the devices the rule gives it."""
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
    what = f"{first['case']}, {first['work']}"
    if note or first["devices"] > 1:
        what += f", {note or _devices(first['devices'])}"
    ends = [f"{end['ratio']:.2f} ({end['shape']})" for end in (first, last)]
    mean = f"**{_mean_ratio(group):.2f}**"
    return [what, first["our_side"], first["peer_side"], mean, *ends]


def with_tables(text: str, lines: Sequence[Line]) -> str:
    """Returns the README's text with the tables of a record between its marks."""

    def made(mark):
        of_gpu = mark[2] == "gpu"
        found = tables_of_gpu(OF_GPU) if of_gpu else tables(lines, mark[2])
        return f"{mark[1]}\n{found}\n{mark[3]}"

    return BLOCK.sub(made, text)


def _table(group: Sequence[Line]) -> str:
    shapes = list(dict.fromkeys(line["shape"] for line in group))
    rows = []
    for sides, of_sides in _grouped(group, ("our_side", "peer_side")).items():
        found = {line["shape"]: line for line in of_sides}
        cells = [_cell(found[shape]) if shape in found else "" for shape in shapes]
        rows.append([*sides, *cells, f"{_mean_ratio(of_sides):.2f}"])
    head = ["lstm_jax", "against", *shapes, "geometric mean"]
    return _markdown(head, rows)


def _mean_ratio(group: Sequence[Line]) -> float:
    """Returns the geometric mean."""
    return float(np.exp(np.mean(np.log([line["ratio"] for line in group]))))


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
    """Says where the numbers come from, one line per run."""
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
