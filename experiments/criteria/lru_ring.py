"""What theory and the source say of an LRU's ring, and the criteria of row 18."""

import numpy as np

from experiments.common.records import Record, take
from experiments.common.rows import Check, count, mean
from lstm_jax import theory

RINGS = {"0..0.9": (0.0, 0.9), "0.5..0.99": (0.5, 0.99), "0.9..0.999": (0.9, 0.999)}
SIDES = ("without γ", "with γ")
WITHIN = 0.03
SHARE = 0.8  # of the seeds
WINDOWS = 20  # of the updates, for each a mean loss
LAST = WINDOWS // 4

PUBLISHED = {
    "tanh": "69.9, 43.9, chance",
    "linear": "72.2, 50.4, chance",
    "disk": "87.2, 59.4, 93.5",
    "ring": "88.1, 59.4, 94.4",
    "ring_gamma": "89.0, 60.2, 95.1",
}
"""Right answers in % on sequential CIFAR, ListOps and Pathfinder, tables 1 to 3."""


def last(record: Record) -> np.ndarray:
    """Returns the losses of the last quarter of the training, (network, rate, seed)."""
    return take(record, "loss")[..., -LAST:].mean(-1)


def ahead(record: Record) -> np.ndarray:
    """Returns where γ has the smaller loss on the ring near 1, (rate, seed)."""
    networks = record.axes["network"]
    without, having = (networks.index(name) for name in ("ring", "ring_gamma"))
    losses = last(record)
    return losses[having] <= losses[without]


def checks(record: Record) -> list[Check]:
    """Returns the criteria; that of training where both networks were trained."""
    rings = [theory.lru_ring_variance(*RINGS[ring]) for ring in record.axes["ring"]]
    found = [
        _grown(record, "without γ", "the closed form's", np.array(rings)),
        _grown(record, "with γ", "1", np.ones(len(rings))),
    ]
    if {"ring", "ring_gamma"} <= set(record.axes["network"]):
        found.append(_trained(record))
    return found


def _grown(record: Record, side: str, wanted: str, laws: np.ndarray) -> Check:
    values = take(record, "growth", side=side)  # ring, drawn
    apart = np.abs(values.mean(-1) / laws - 1)
    worst = int(apart.argmax())
    return Check(
        f"white input, {side}: E|h|² / E|x B|² is {wanted}, within 3 % on every ring",
        ", ".join(f"{law:.4g}" for law in laws) + " (proposition 3)",
        f"{', '.join(mean(of, '.3f') for of in values)}; at most "
        f"{100 * apart[worst]:.1f} % apart",
        bool(apart[worst] <= WITHIN),
    )


def _trained(record: Record) -> Check:
    rates = record.axes["rate"]
    largest = int(np.argmax(rates))
    wins = ahead(record)
    others = [
        f"{int(of.sum())} at {rate:g}"
        for rate, of in zip(rates, wins, strict=True)
        if rate != rates[largest]
    ]
    told = f"; {', '.join(others)}" if others else ""
    return Check(
        "ring near 1, the largest rate: a smaller loss with γ, in .8 of the seeds",
        "89.0, 60.2, 95.1 % with γ, 88.1, 59.4, 94.4 % without (other data)",
        f"{count(int(wins[largest].sum()), wins.shape[1])} at {rates[largest]:g}{told}",
        bool(wins[largest].mean() >= SHARE),
    )
