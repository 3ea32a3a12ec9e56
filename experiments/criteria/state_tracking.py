"""What theory says of the networks of row 16, and its criteria."""

import numpy as np

from experiments.common.records import Record, take
from experiments.common.rows import Check

SOLVED = 0.9  # of the elements right, beyond the lengths of training
SHARE = 0.6  # of the seeds: 3 of 5, 2 of 3
SWAPS = " by swaps"
GROUPS = ("Z2", "Z3", "Z2^3", "S3" + SWAPS, "S3", "S5" + SWAPS)

# What one layer can keep at any length, with a state of fixed precision (Grazzi et al.,
# theorems 1 to 4); nothing is known so simply of the nets that are not linear.
POSSIBLE = {
    "min_gru": (),
    "signed_min_gru": ("Z2", "Z2^3"),
    "reflection": ("Z2", "S3" + SWAPS, "S5" + SWAPS),
    "two_reflections": ("Z2", "Z3", "S3" + SWAPS, "S3", "S5" + SWAPS),
}
PUBLISHED = {
    ("reflection", "S3" + SWAPS): "20 of 20",
    ("reflection", "S5" + SWAPS): "20 of 20",
    ("signed_min_gru", "Z2^3"): "20 of 20",
}
"""Of a grid with 20 seeds, unrefereed, through notes: 64 dimensions, an MLP reads."""


def solved(record: Record) -> np.ndarray:
    """Returns which networks are right beyond training, (network, group, seed)."""
    return take(record, "beyond") >= SOLVED


def checks(record: Record) -> list[Check]:
    """Returns the criteria of the networks that were trained."""
    networks, groups = record.axes["network"], record.axes["group"]
    found = [_forbidden(record)] if set(networks) & set(POSSIBLE) else []
    for (network, group), published in PUBLISHED.items():
        if network in networks and group in groups:
            found.append(_possible(record, network, group, published))
    if "signed_min_gru" in networks and "Z2" in groups and not found[1:]:
        found.append(_possible(record, "signed_min_gru", "Z2", ""))
    return found


def _forbidden(record: Record) -> Check:
    right = {
        (network, group): solved(record)[i, j]
        for i, network in enumerate(record.axes["network"])
        for j, group in enumerate(record.axes["group"])
        if network in POSSIBLE and group not in POSSIBLE[network]
    }
    runs = np.concatenate(list(right.values()))
    which = [f"{n} on {g}" for (n, g), of in right.items() if of.any()]
    told = f"; {', '.join(which)}" if which else ""
    return Check(
        "what one linear layer can't keep is kept by no network",
        "0 of 20 for each of three such pairs",
        f"{int(runs.sum())} of {runs.size}{told}",
        not runs.any(),
    )


def _possible(record: Record, network: str, group: str, published: str) -> Check:
    at = record.axes["network"].index(network), record.axes["group"].index(group)
    right = solved(record)[at]
    return Check(
        f"{network} keeps {group}, in .6 of the seeds",
        published,
        f"{int(right.sum())} of {right.size}",
        bool(right.mean() >= SHARE),
    )
