"""When `experiments.learning_to_forget` shows what a forget gate is for."""

from functools import partial
from typing import Any

import numpy as np

from experiments.common import rows
from experiments.common.records import Record, take
from experiments.common.rows import Check

FORGETS, KEEPS = "lstm", ("lstm_nfg", "lstm97")
SHARE = 0.8  # of the seeds
RIGHT, LOST, RATIO, GAP = 0.95, 0.70, 5, 0.5
FAILS = "fails (abstract)"
"""What is published of cells without a forget gate, without resets."""
PERFECT_2000 = {"forget": 18, "nfg": 0, "nfg_resets": 74, "forget_decay": 62}
"""Of 100 nets of each kind, on streams of 100,000 symbols."""
FEWER = 1 / 4
NAMES_OF_2000 = {
    "forget": "forget gates",
    "forget_decay": "falling rate",
    "nfg": "f = 1",
    "nfg_resets": "f = 1, resets",
}
TOLD_2000 = {
    "forget": "with forget gates",
    "forget_decay": "with forget gates and a decaying rate",
    "nfg": "without forget gates",
    "nfg_resets": "without forget gates, emptied after each string,",
}


def late_norm(record: Record, cell: str) -> np.ndarray:
    """Returns the mean norm of the state over the second half of the test, (seed,)."""
    norm = take(record, "norm", cell=cell)
    return norm[:, norm.shape[1] // 2 :].mean(1)


def learnt_after(record: Record, cell: str) -> np.ndarray:
    """Returns the updates after which a network is first right, (seed,); or inf."""
    right = take(record, "accuracy", cell=cell) >= RIGHT
    updates = np.array(record.axes["updates"], float)
    return np.where(right.any(1), updates[right.argmax(1)], np.inf)


def checks(record: Record) -> list[Check]:
    """Returns the criteria: who remembers, and what becomes of a state that can't.

    First of nets trained as in 2000, then of those by Adam. What a cell without a
    forget gate loses is asked at the test by which 4 of 5 seeds of the LSTM had learnt,
    and told of the end of the training.
    """
    return [*_of_2000(record), *_by_adam(record)]


def _by_adam(record: Record) -> list[Check]:
    cells, last = record.axes["cell"], record.axes["updates"][-1]
    keeps = [cell for cell in KEEPS if cell in cells]
    with_resets = [f"{cell}_resets" for cell in KEEPS if f"{cell}_resets" in cells]
    resets = [_remembers(record, cell) for cell in with_resets]
    if FORGETS not in cells:
        return resets
    found = [_remembers(record, FORGETS)]
    by = np.quantile(learnt_after(record, FORGETS), SHARE, method="inverted_cdf")
    for updates in dict.fromkeys([by, last]):
        if np.isfinite(updates):
            then = [_loses(record, cell, int(updates)) for cell in keeps]
            then += [_gap(record, cell, int(updates)) for cell in keeps[:1]]
            asked = updates == by
            found += [c if asked else c._replace(holds=None) for c in then]
    return [*found, *(_norms(record, cell) for cell in keeps[:1]), *resets]


def _remembers(record: Record, cell: str) -> Check:
    accuracy = take(record, "accuracy", cell=cell)[:, -1]
    holds = accuracy >= RIGHT
    return Check(
        f"outer symbols that {cell} has right, at least {RIGHT:.2f} in 4 of 5 seeds",
        "",
        f"{rows.mean(accuracy, '.3f')}; {rows.count(int(holds.sum()), holds.size)}",
        bool(holds.mean() >= SHARE),
    )


def _loses(record: Record, cell: str, updates: int) -> Check:
    right = take(record, "accuracy", cell=cell, updates=updates)
    return _lost(
        f"{cell} has right, at most {LOST:.2f} in 4 of 5 seeds, "
        f"{_when(record, updates)}",
        right,
        f"{rows.mean(right, '.3f')}",
        f"; after {updates} updates",
    )


def _lost(what: str, right: np.ndarray, typical: str, told: str = "") -> Check:
    """Returns the criterion that most networks have few of the outer symbols right."""
    holds = right <= LOST
    return Check(
        f"outer symbols that {what}",
        FAILS,
        f"{typical}; {rows.count(int(holds.sum()), holds.size)}{told}",
        bool(holds.mean() >= SHARE),
    )


def _gap(record: Record, keeps: str, updates: int) -> Check:
    nats = [
        take(record, "string_nats", cell=cell, updates=updates)
        for cell in (keeps, FORGETS)
    ]
    gap = nats[0] - nats[1]
    return Check(
        f"late loss of a string, {keeps} minus {FORGETS}, at least {GAP} nats (memory "
        f"is worth ln 2 = .693), {_when(record, updates)}",
        "",
        f"{rows.mean(gap, '.3f')} nats; after {updates} updates",
        bool(gap.mean() >= GAP),
    )


def _when(record: Record, updates: int) -> str:
    is_last = updates == record.axes["updates"][-1]
    return "at the end" if is_last else f"when {FORGETS} has learnt"


def _norms(record: Record, keeps: str) -> Check:
    norms = [late_norm(record, cell) for cell in (FORGETS, keeps)]
    return _ratio(f"{keeps} over {FORGETS}", *norms)


def _ratio(what: str, with_gate: np.ndarray, without: np.ndarray) -> Check:
    ratio = np.median(without) / np.median(with_gate)
    return Check(
        f"norm of the late state, {what}, at least {RATIO}",
        "grows linearly without a forget gate (figure)",
        f"{np.median(without):.4g} over {np.median(with_gate):.3g} = {ratio:.0f}",
        bool(ratio >= RATIO),
    )


# -- As in 2000 ----------------------------------------------------------------------


def kinds_in(record: Record) -> list[str]:
    """Returns the kinds of nets of 2000 in a record; none where there are no nets."""
    return [*record.axes.get("kind", ())]


def perfect(record: Record, kind: str) -> np.ndarray:
    """Returns which nets of 2000 had no error in any of their test streams, (net,)."""
    return np.isfinite(take(record, "perfect_at", kind=kind))


def _of_2000(record: Record) -> list[Check]:
    share = {kind: perfect(record, kind).mean() for kind in kinds_in(record)}
    if not {"forget", "nfg"} <= {*share}:
        return []
    found = [
        _perfect(
            record,
            "forget",
            f"at least {PERFECT_2000['forget']} %",
            share["forget"] >= PERFECT_2000["forget"] / 100,
        ),
        _perfect(
            record,
            "nfg",
            "at most a quarter as many",
            share["nfg"] <= FEWER * share["forget"],
        ),
    ]
    if "nfg_resets" in share:
        holds = share["nfg_resets"] >= 1 / 2
        found.append(_perfect(record, "nfg_resets", "at least half", holds))
    if "forget_decay" in share:
        found.append(_perfect(record, "forget_decay", "how many", None))
    return [*found, _loses_2000(record), _norms_2000(record)]


def _perfect(record: Record, kind: str, wanted: str, holds: Any) -> Check:
    found = perfect(record, kind)
    streams = take(record, "perfect_at", kind=kind)[found]
    told = f", after {np.median(streams):,.0f} streams (median)" if found.any() else ""
    return Check(
        f"nets of 2000 {TOLD_2000[kind]} that predict 10 streams without an error: "
        f"{wanted}",
        f"{PERFECT_2000[kind]} of 100, on streams of 100,000",
        f"{rows.count(int(found.sum()), found.size)}, on streams of "
        f"{record.config['most_symbols']:,}{told}",
        None if holds is None else bool(holds),
    )


def _loses_2000(record: Record) -> Check:
    right = take(record, "outer", kind="nfg")
    what = "nets of 2000 without forget gates have right: at most"
    return _lost(f"{what} {LOST:.2f} in 4 of 5", right, rows.median(right, ".2f"))


def _norms_2000(record: Record) -> Check:
    late = [take(record, "late_norm", kind=kind) for kind in ("forget", "nfg")]
    return _ratio("nets of 2000 without forget gates over those with them", *late)


# -- Table ---------------------------------------------------------------------------


def table(record: Record) -> list[dict[str, str]]:
    """Returns a line for each cell, and for each kind of the nets of 2000."""
    lines = []
    for cell in record.axes["cell"]:
        of = lambda name, cell=cell: take(record, name, cell=cell)
        accuracy, norm = of("accuracy"), late_norm(record, cell)
        solved = (accuracy >= RIGHT).mean(0)
        row = {"cell": cell, "outer symbols right": rows.mean(accuracy[:, -1], ".3f")}
        for updates, share in zip(record.axes["updates"], solved, strict=True):
            row[f"learnt, {updates}"] = f"{share:.1f}"
        row["late nats a string"] = rows.mean(of("string_nats")[:, -1], ".3f")
        row["late norm"] = f"{_short(norm.min())} to {_short(norm.max())}"
        row["no fault"] = f"{of('faultless')[:, -1].mean():.2f}"
        lines.append(row)
    return [
        *lines,
        *(_row_of_2000(record, kind, lines[0]) for kind in kinds_in(record)),
    ]


def _row_of_2000(record: Record, kind: str, like: dict[str, str]) -> dict[str, str]:
    """Returns the row of the paper's nets, with the columns of another row."""
    of = partial(take, record, kind=kind)
    norm = of("late_norm")
    return dict.fromkeys(like, "-") | {
        "cell": f"2000: {NAMES_OF_2000[kind]}",
        "outer symbols right": rows.mean(of("outer"), ".3f"),
        "late norm": f"{_short(norm.min())} to {_short(norm.max())}",
        "no fault": f"{of('no_fault').mean():.2f}",
    }


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
