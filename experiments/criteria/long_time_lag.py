"""When `experiments.long_time_lag` shows symbols kept, and RNNs that lose them."""

import numpy as np

from experiments.common import rows
from experiments.common.records import Record, take
from experiments.common.rows import Check

# Sequences, p = 100; of a gate that begins shut, "2a_shut", the paper says nothing.
PUBLISHED = {"2a": 5040, "2b": 5680}
PUBLISHED_FAR = {50: 30_000, 100: 31_000, 200: 33_000, 500: 38_000, 1000: 49_000}
SHARE = 16 / 18
SOON = 25_000
FAR_SHARE = 0.8
SLOWER = 3


def learned_after(record: Record, prefix: str = "", **at: object) -> np.ndarray:
    """Returns the sequences before the row of right ones, inf where there was none."""
    return take(record, f"{prefix}solved_at", **at) - record.config["in_a_row"]


def checks(record: Record) -> list[Check]:
    """Returns the criteria: nets of one cell, RNNs, 2c, and the weights of all."""
    axes = record.axes
    found = [_memory(record, task) for task in axes["task"]]
    found += [_rnn(record, activation) for activation in axes["rnn"]]
    found += [_far(record, q) for q in axes["distance"]]
    if len(axes["distance"]) > 1:
        found.append(_slower(record))
    return [*found, _weights(record)]


def _memory(record: Record, task: str) -> Check:
    after, lag = learned_after(record, task=task), record.config["lag"]
    solved = np.isfinite(after)
    published = ""
    if task in PUBLISHED:
        known = f", after {PUBLISHED[task]:,} sequences" if lag == 100 else ""
        published = f"18 of 18{known}"
    return Check(
        f"nets of one cell that learn {task}, at least 16 of 18, the median of all "
        f"after at most {SOON:,} sequences",
        published,
        f"{_told(after)}, p = {lag}",
        bool(solved.mean() >= SHARE and np.median(after) <= SOON),
    )


def _rnn(record: Record, activation: str) -> Check:
    after = learned_after(record, "rnn_", rnn=activation)
    solved, config = int(np.isfinite(after).sum()), record.config
    return Check(
        f"{activation} RNNs that learn 2a by the whole gradient: none",
        "0 of 18, in 5,000,000 sequences",
        f"{rows.count(solved, after.size)} in {config['max_sequences']:,} sequences, "
        f"p = {config['lag']}",
        solved == 0,
    )


def _far(record: Record, q: int) -> Check:
    after = learned_after(record, "far_", distance=q)
    solved = np.isfinite(after)
    known = PUBLISHED_FAR.get(q)
    return Check(
        f"nets of two cells that learn 2c with q = p = {q}, at least 8 of 10",
        f"all, after {known:,} sequences" if known else "",
        f"{_told(after)} of at most {record.config['max_far']:,}",
        bool(solved.mean() >= FAR_SHARE),
    )


def _slower(record: Record) -> Check:
    distances = sorted(q for q in record.axes["distance"] if q <= 200)
    near, far = distances[0], distances[-1]
    medians = [
        np.median(learned_after(record, "far_", distance=q)) for q in (near, far)
    ]
    ratio = medians[1] / medians[0] if np.isfinite(medians).all() else np.inf
    known = all(q in PUBLISHED_FAR for q in (near, far))
    return Check(
        f"median sequences of 2c at q = {far} over those at q = {near}, at most 3",
        f"{PUBLISHED_FAR[far] / PUBLISHED_FAR[near]:.1f}" if known else "",
        f"{ratio:.2g}",
        bool(ratio <= SLOWER),
    )


def _weights(record: Record) -> Check:
    lag, distances = record.config["lag"], record.axes["distance"]
    one_cell = (lag + 1) * (lag + 2) + 2 * (lag + 1)
    wanted = [one_cell, *(6 * (q + 4 + 6) + 4 for q in distances)]
    found = [int(count) for count in take(record, "num_weights")]
    exact = lag == 100 and set(distances) <= set(PUBLISHED_FAR)
    return Check(
        "weights of the nets of 2a and 2b, and of 2c by distance",
        "; ".join(map(str, wanted)) if exact else "by the same formulas",
        "; ".join(map(str, found)),
        found == wanted,
    )


def _told(after: np.ndarray) -> str:
    """Returns how many nets learned, and the median of these."""
    solved = after[np.isfinite(after)]
    told = rows.count(solved.size, after.size)
    if not solved.size:
        return told
    return f"{told}; median of these {np.median(solved):,.0f} sequences"


def table(record: Record) -> list[dict[str, str]]:
    """Returns a row for each kind of net and task."""
    lag, found = record.config["lag"], []
    for task in record.axes["task"]:
        after = learned_after(record, task=task)
        grown = np.median(take(record, "grown_at", task=task))
        known = f"{PUBLISHED[task]:,}" if lag == 100 and task in PUBLISHED else "-"
        setting = f"{task}, p = {lag}"
        net = f"one cell, added after {grown:,.0f}"
        found.append(_row(setting, net, after, known))
    for rnn in record.axes["rnn"]:
        after = learned_after(record, "rnn_", rnn=rnn)
        found.append(_row(f"2a, p = {lag}", f"{rnn} RNN, BPTT", after, "never"))
    for q in record.axes["distance"]:
        after = learned_after(record, "far_", distance=q)
        known = f"{PUBLISHED_FAR[q]:,}" if q in PUBLISHED_FAR else "-"
        found.append(_row(f"2c, q = {q}", "two blocks of one cell", after, known))
    return found


def _row(setting: str, net: str, after: np.ndarray, known: str) -> dict[str, str]:
    solved = after[np.isfinite(after)]
    return {
        "experiment": setting,
        "net": net,
        "learned": f"{solved.size} of {after.size}",
        "median sequences": f"{np.median(solved):,.0f}" if solved.size else "-",
        "published": known,
    }
