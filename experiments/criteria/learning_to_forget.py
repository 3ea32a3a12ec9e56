"""When `experiments.learning_to_forget` shows what a forget gate is for."""

import numpy as np

from experiments.common import rows
from experiments.common.records import Record, take
from experiments.common.rows import Check

FORGETS, KEEPS = "lstm", ("lstm_nfg", "lstm97")
SHARE = 0.8  # of the seeds
RIGHT, LOST, RATIO, GAP = 0.95, 0.70, 5, 0.5
PUBLISHED = {
    FORGETS: "18 % of 100 nets without an error, 62 % with a decaying rate (on-line)",
    "lstm_nfg": "fails (abstract)",
    "lstm97": "fails (abstract)",
    "lstm97_resets": "74 % of 100 nets without an error (on-line)",
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

    Those of a cell without a forget gate stand twice: at the test by which 4 of 5 seeds
    of the LSTM had learnt, and at the end of the training.
    """
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
            found += [_loses(record, cell, int(updates)) for cell in keeps]
            found += [_gap(record, cell, int(updates)) for cell in keeps[:1]]
    return [*found, *(_norms(record, cell) for cell in keeps[:1]), *resets]


def _remembers(record: Record, cell: str) -> Check:
    accuracy = take(record, "accuracy", cell=cell)[:, -1]
    holds = accuracy >= RIGHT
    return Check(
        f"outer symbols that {cell} has right, at least {RIGHT:.2f} in 4 of 5 seeds",
        PUBLISHED.get(cell, ""),
        f"{rows.mean(accuracy, '.3f')}; {rows.count(int(holds.sum()), holds.size)}",
        bool(holds.mean() >= SHARE),
    )


def _loses(record: Record, cell: str, updates: int) -> Check:
    accuracy = take(record, "accuracy", cell=cell, updates=updates)
    holds = accuracy <= LOST
    return Check(
        f"outer symbols that {cell} has right, at most {LOST:.2f} in 4 of 5 seeds, "
        f"{_when(record, updates)}",
        PUBLISHED.get(cell, ""),
        f"{rows.mean(accuracy, '.3f')}; {rows.count(int(holds.sum()), holds.size)}; "
        f"after {updates} updates",
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
    with_gate, without = (late_norm(record, cell) for cell in (FORGETS, keeps))
    ratio = np.median(without) / np.median(with_gate)
    return Check(
        f"norm of the late state, {keeps} over {FORGETS}, at least {RATIO}",
        "grows linearly without a forget gate (figure)",
        f"{np.median(without):.4g} over {np.median(with_gate):.3g} = {ratio:.0f}",
        bool(ratio >= RATIO),
    )
