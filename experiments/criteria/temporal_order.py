"""When `experiments.temporal_order` shows what gates do, and what a clip does."""

from typing import Any

import numpy as np

from experiments.common import rows
from experiments.common.msgd import METHODS
from experiments.common.records import Record, take
from experiments.common.rows import Check
from experiments.common.two_blocks import (
    NUM_TEST,
    check_solved,
    check_weights,
    last_errors,
)

LEARNS = "lstm"
RIGHT, SHARE = 0.995, 0.8  # of the sequences, of the seeds
CHANCE = (0.19, 0.33)
MORE = 1 / 3  # of the runs: 5 of 15
LEVELS = np.log(2) * np.array([1.5, 1.0, 0.75])  # half-way to ln 4 and ½ ln 2
NEAR, LEFT = 0.05, 1.2  # nats
LEFT_FOR = 500  # updates
LONGER = 2  # times as long as beside it: a pause
WEIGHTS = 156
PUBLISHED = 31_390  # sequences
SMALL = 0.1  # mean error of a net that is done


def checks(record: Record) -> list[Check]:
    """Returns the criteria: of 1997, the gates', the plateau's, and the methods'.

    How much more MSGD-CR learns is asked of runs at three lengths, and a plateau where
    a loss left ln 4: neither at the size "smoke".
    """
    found, methods = [], record.axes["method"]
    if "num_weights" in record.arrays:
        found += [_of_1997(record), check_weights(record, WEIGHTS)]
    if LEARNS in record.axes["cell"]:
        found.append(_gates(record))
    if len(dwells(record)):
        found.append(_plateau(record))
    if METHODS[0] in methods:
        found.append(_unclipped(record))
    if {*METHODS} <= {*methods}:
        found.append(_order(record))
        found += [_margin(record)] if len(record.axes["length"]) > 2 else []
    return found


def successes(record: Record) -> list[int]:
    """Returns how many runs of each method learnt the task, over all the rest."""
    return [
        int(np.isfinite(take(record, "learnt", method=method)).sum())
        for method in record.axes["method"]
    ]


def runs_of_a_method(record: Record) -> int:
    """Returns how many runs each method had."""
    return take(record, "learnt").size // len(record.axes["method"])


def dwells(record: Record, **entries: Any) -> np.ndarray:
    """Returns how many updates each RNN's loss is near each of `LEVELS`, (run, level).

    Of the runs that leave ln 4, at these entries of axes: their loss is below `LEFT`
    for `LEFT_FOR` updates. Where it ends, at NaN, all had learnt, and it counts as low.
    """
    means = take(record, "loss", **entries).reshape(-1, len(record.axes["mean"]))
    every = record.axes["mean"][0]
    means = means[every * (~(means >= LEFT)).sum(1) >= LEFT_FOR]
    return every * (np.abs(means[..., None] - LEVELS) < NEAR).sum(1)


def pauses(updates: np.ndarray) -> np.ndarray:
    """Returns which runs are longer near ln 2 than beside it, of `dwells`: (run,)."""
    above, at, below = updates.T
    return (at > 0) & (at >= LONGER * np.maximum(above, below))


def sequences_of_1997(record: Record) -> np.ndarray:
    """Returns after how many sequences each net of 1997 was done, inf if it never was.

    Its last 2000 sequences were right, and its mean error is below `SMALL`: the squared
    error, summed over output units, by the last entry of its curve.
    """
    small = last_errors(take(record, "error")) < SMALL
    return np.where(small, take(record, "solved_at"), np.inf)


def _of_1997(record: Record) -> Check:
    config = record.config
    return check_solved(
        "nets of 1997 (6a) that end with a row of right sequences and a mean error "
        f"below {SMALL}, at least 8 of 10",
        f"after {PUBLISHED:,} sequences on average of 20 nets; 1 of {NUM_TEST} wrong",
        sequences_of_1997(record),
        take(record, "wrong"),
        f"{config['max_sequences']:,}, T = {config['lag_of_1997']}",
    )


def _gates(record: Record) -> Check:
    right = take(record, "modern_accuracy", cell=LEARNS)
    holds = right >= RIGHT
    return Check(
        "sequences that the LSTM has right, at least 99.5 % in 4 of 5 seeds (Adam)",
        "1997: learnt after 31 390 sequences on average, 1 of 2560 wrong",
        f"{rows.mean(100 * right, '.2f')} %; "
        f"{rows.count(int(holds.sum()), holds.size)}",
        bool(holds.mean() >= SHARE),
    )


def _plateau(record: Record) -> Check:
    updates = dwells(record)
    paused = pauses(updates)
    above, at, below = np.median(updates, 0)
    return Check(
        "of the RNNs' losses that leave ln 4, at least half are near ln 2 for twice as "
        "many updates as half-way to ln 4, and as half-way to ½ ln 2",
        "",
        f"{paused.sum()} of {len(paused)}; medians {at:.0f}, {above:.0f} and "
        f"{below:.0f} updates",
        bool(paused.mean() >= 1 / 2),
    )


def _unclipped(record: Record) -> Check:
    longest = max(record.axes["length"])
    right = take(record, "accuracy", method="MSGD", length=longest).mean(1)
    low, high = CHANCE
    return Check(
        f"an RNN by MSGD, unclipped, at the longest length: {low} to {high} right",
        "",
        f"{', '.join(f'{of:.2f}' for of in right)} at length {longest}",
        bool(((right >= low) & (right <= high)).all()),
    )


def _order(record: Record) -> Check:
    count = dict(zip(record.axes["method"], successes(record), strict=True))
    told = ", ".join(f"{name} {count[name]}" for name in METHODS)
    return Check(
        "runs that learn: MSGD-CR at least as many as MSGD-C, and these as MSGD",
        "MSGD-CR above MSGD-C above MSGD (figure)",
        f"{told} of {runs_of_a_method(record)}",
        bool(np.all(np.diff([count[name] for name in METHODS]) >= 0)),
    )


def _margin(record: Record) -> Check:
    count = dict(zip(record.axes["method"], successes(record), strict=True))
    more, runs = count["MSGD-CR"] - count["MSGD"], runs_of_a_method(record)
    return Check(
        "runs that MSGD-CR learns more than MSGD, at least 5 of 15",
        "",
        f"{more} of {runs}",
        bool(more >= MORE * runs),
    )


# -- Table ---------------------------------------------------------------------------


def table(record: Record) -> list[dict[str, str]]:
    """Returns a row for each kind of RNN, each cell by Adam, and the nets of 1997."""
    found, lengths = [], record.axes["length"]
    for init in record.axes["init"]:
        for method in record.axes["method"]:
            told = {}
            for length in lengths:
                at = {"init": init, "method": method, "length": length}
                learnt = take(record, "learnt", **at)
                share = f"{np.isfinite(learnt).sum()}/{learnt.size}"
                right = take(record, "accuracy", **at).mean()
                told[length] = f"{share} learnt, {right:.2f} right"
            row = f"rnn, {init}", f"{method}, as in the paper"
            found.append(_row(record, *row, told))
    for cell in record.axes["cell"]:
        right = rows.mean(take(record, "modern_accuracy", cell=cell), ".3f")
        told = {max(lengths): f"{right} right"}
        found.append(_row(record, cell, "Adam, modern", told))
    if "num_weights" in record.arrays:
        after = sequences_of_1997(record)
        done = after[np.isfinite(after)]
        share = f"{done.size}/{after.size} learnt"
        if done.size:
            share = f"{share}, median {np.median(done):,.0f} sequences"
        told = {"1997": share}
        weights = f"lstm97, {int(take(record, 'num_weights'))} weights"
        found.append(_row(record, weights, "on-line, as in 1997", told))
    return found


def _row(record: Record, network: str, trained: str, told: dict) -> dict[str, str]:
    row = {"network": network, "trained": trained}
    for length in record.axes["length"]:
        row[f"{length} steps"] = told.get(length, "-")
    if "num_weights" in record.arrays:
        lag = record.config["lag_of_1997"]
        row[f"6a, {lag} to {lag + lag // 10} steps"] = told.get("1997", "-")
    return row
