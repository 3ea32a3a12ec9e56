"""The criteria of `experiments.selective_copying`, row 17."""

import numpy as np

from experiments.common.records import Record, take
from experiments.common.rows import Check, mean

PUBLISHED = {
    (32, 4): {
        "gru": 1.000,
        "min_gru": 0.389,
        "min_lstm": 0.424,
        "min_gru_longer": 0.964,
        "min_gru_two_layers": 0.821,
    },
    (64, 8): {"gru": 0.357, "min_gru": 0.000, "min_lstm": 0.000},
}
"""Exact-sequence accuracy by (steps, symbols), of an independent replication; notes."""

PUBLISHED_SLOTS = (0.31, 0.34, 0.35, 0.39, 0.38, 0.41, 0.90, 1.00)
"""Accuracy of its minGRU by slot, at (64, 8)."""

WHOLE = 30_000
"""From this many weights the criteria ask for numbers, below for directions."""

GAP, RECOVERED, LAST, OLDER = 0.3, 0.5, 0.85, 0.5
THROUGH_NOTES = ", an independent replication, through notes"


def checks(record: Record) -> list[Check]:
    """Returns the criteria of the networks that were trained."""
    trained = set(record.axes["network"])
    found = []
    if {"gru", "min_gru"} <= trained:
        found.append(_gap(record))
    if {"gru", "min_gru", "min_gru_two_layers"} <= trained:
        found.append(_two_layers(record))
    if "min_gru" in trained:
        found += [_recency(record), _paths(record)]
    return found


def _is_whole(record: Record) -> bool:
    return record.config["num_weights"] >= WHOLE


def _gap(record: Record) -> Check:
    ahead = take(record, "exact", network="gru") - take(
        record, "exact", network="min_gru"
    )
    least = GAP if _is_whole(record) else 0.0
    return Check(
        "one layer: exact accuracy of the GRU minus that of minGRU is 0.3 at least",
        f"0.611{THROUGH_NOTES}",
        mean(ahead, ".3f"),
        bool(ahead.mean() >= least and ahead.mean() > 0),
    )


def _two_layers(record: Record) -> Check:
    gru, one, two = (
        float(take(record, "exact", network=name).mean())
        for name in ("gru", "min_gru", "min_gru_two_layers")
    )
    least = RECOVERED * (gru - one) if _is_whole(record) else 0.0
    return Check(
        "two layers of minGRU recover at least half of that gap",
        f"0.71 of it{THROUGH_NOTES}",
        f"{two:.3f}, of {one:.3f} with one layer and {gru:.3f} of the GRU",
        bool(two - one >= least and two > one),
    )


def _recency(record: Record) -> Check:
    slots = take(record, "far_slot_accuracy", far_network="min_gru").mean(0)
    older, last = slots[:-2], slots[-2:]
    whole = last.min() >= LAST and older.max() <= OLDER
    direction = last.min() > older.max()
    return Check(
        "the longer task: minGRU has the last two slots right by 0.85 at least, and "
        "every older one by 0.5 at most",
        f"0.90 and 1.00; 0.31 to 0.41{THROUGH_NOTES}",
        f"{last[0]:.2f} and {last[1]:.2f}; {older.min():.2f} to {older.max():.2f}",
        bool(whole if _is_whole(record) else direction),
    )


def _paths(record: Record) -> Check:
    blank, write = (
        take(record, "log_factor", step_of=step) for step in ("a blank", "a write")
    )
    return Check(
        "in every minGRU a write shrinks the paths of older slots more than a blank "
        "does, mean of ln f over units",
        "",
        f"{mean(write, '.3f')} nats against {mean(blank, '.4f')}",
        bool(np.all(write < blank)),
    )
