"""When `experiments.temporal_order` shows what gates do, and what a clip does."""

import numpy as np

from experiments.common import rows
from experiments.common.msgd import METHODS
from experiments.common.records import Record, take
from experiments.common.rows import Check

LEARNS = "lstm"
RIGHT, SHARE = 0.995, 0.8  # of the sequences, of the seeds
CHANCE = (0.19, 0.33)
MORE = 1 / 3  # of the runs: 5 of 15
LONG = 50  # steps from which a loss is asked for a plateau
NEAR = 0.1  # nats
WINDOW = 10  # updates over which a loss is averaged


def checks(record: Record) -> list[Check]:
    """Returns the criteria: the gates', the plateau's, and the methods'.

    Short sequences have no plateau, and how much more MSGD-CR learns is asked of runs
    at three lengths: both are left out at the size "smoke".
    """
    found, methods = [], record.axes["method"]
    if LEARNS in record.axes["cell"]:
        found.append(_gates(record))
        found += [_plateau(record)] if max(record.axes["length"]) >= LONG else []
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


def plateau_ratio(loss: np.ndarray) -> np.ndarray:
    """Returns updates near ln 2 over those near 1.5 ln 2, of losses (seed, update)."""
    kernel = np.full(WINDOW, 1 / WINDOW)
    smooth = np.array([np.convolve(one, kernel, "valid") for one in loss])
    near = lambda level: (np.abs(smooth - level) < NEAR).sum(1)
    return near(np.log(2)) / np.maximum(near(1.5 * np.log(2)), 1)


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
    loss = take(record, "modern_loss", cell=LEARNS)
    starts = np.abs(loss[:, :WINDOW].mean(1) - np.log(4)) < 0.2
    ratio = plateau_ratio(loss)
    return Check(
        "the LSTM's loss starts near ln 4 and stays near ln 2: more updates there than "
        "half-way, median over seeds",
        "",
        f"{rows.median(ratio, '.2g')} times as many; {int(starts.sum())} of "
        f"{starts.size} start at ln 4",
        bool(np.median(ratio) > 1 and starts.all()),
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
