"""The families of row 19, what theory and experience say of them, and its criteria."""

import numpy as np

from experiments.common import statistics, wording
from experiments.common.records import Record, take
from experiments.common.report import INITIAL, TRAINED
from experiments.common.rows import Check, count
from experiments.figures.nature_show import SOLVED

FAMILIES = {
    "dense": ("rnn", "irnn", "antisymmetric_rnn", "exp_rnn"),
    "gated": ("lstm97", "lstm", "four_gate", "gru"),
    "linear": ("lru", "min_gru", "min_lstm", "signed_min_gru", "selective_ssm"),
    "products": ("delta_product",),
    "exponential": ("slstm",),
}
"""Cells by what a step multiplies the memory by; the classic of each first."""

CONTRACTING = (*FAMILIES["linear"], *FAMILIES["products"])
"""Linear in their memory, by a matrix that lengthens nothing, whatever its weights."""

LEFT = 0.01  # of the gradient: with less, no scene is heard
FLAT = 1e-4  # nats, of float32


def family_of(cell: str) -> str:
    """Returns the family of a cell in FAMILIES."""
    return next(name for name, cells in FAMILIES.items() if cell in cells)


def drawn(record: Record) -> list[int]:
    """Returns the index of each cell's last variant, whose networks are drawn."""
    last = {of["cell"]: k for k, of in enumerate(record.axes["variant"])}
    return list(last.values())


def shares(record: Record, stage: str) -> np.ndarray:
    """Returns ln of the share left at the lag of the scene, (variant, seed).

    Medians over the shows.
    """
    at = {"stage": stage, "lag": record.config["lag"]}
    return np.median(take(record, "log_share", **at), axis=-1)


def solved(record: Record) -> np.ndarray:
    """Returns which trained networks answer right, (variant, seed)."""
    return take(record, "accuracy", stage=TRAINED) >= SOLVED


def checks(record: Record) -> list[Check]:
    """Returns the criteria of the cells that were measured."""
    cells = [variant["cell"] for variant in record.axes["variant"]]
    found = [_rotation(record, cells)] if "exp_rnn" in cells else []
    if set(cells) & {*CONTRACTING}:
        found.append(_contracting(record, cells))
    if solved(record).any():
        found += [_heard(record), _window(record)]
    return found


def _rotation(record: Record, cells: list[str]) -> Check:
    values = record.arrays["log_share"].values
    stage = record.axes["stage"].index(INITIAL)
    apart = np.abs(values[cells.index("exp_rnn"), stage]).max()
    return Check(
        "before training the gradient of exp_rnn is as long at every lag, to 1e-4",
        "uRNN flat (Arjovsky, Shah & Bengio, read off figure 4)",
        f"{apart:.1e} nats at most",
        bool(apart <= FLAT),
    )


def _contracting(record: Record, cells: list[str]) -> Check:
    of_cells = [k for k, cell in enumerate(cells) if cell in CONTRACTING]
    rises = np.diff(record.arrays["log_share"].values[of_cells], axis=-1)
    most = max(0.0, float(rises.max()))
    return Check(
        "in cells linear in their memory no gradient grows with the lag, before and "
        "after training, to 1e-4 nats",
        "|λ| < 1 (Orvieto et al., 2023); factors in (0, 1) (Feng et al., 2024)",
        f"by {most:.1e} nats a step at most",
        most <= FLAT,
    )


def _heard(record: Record) -> Check:
    left = shares(record, TRAINED)[solved(record)]
    lost = int((left < np.log(LEFT)).sum())
    low, middle, high = statistics.quartiles(left)
    return Check(
        f"networks that answer right with less than {LEFT:g} of the gradient left at "
        "the scene: none",
        "",
        f"{lost} of {left.size}; median {wording.power(middle)} "
        f"[quartiles {wording.power(low)}, {wording.power(high)}]",
        lost == 0,
    )


def _window(record: Record) -> Check:
    windows = take(record, "window", stage=TRAINED)[solved(record)]
    reach = int((windows >= record.config["lag"]).sum())
    return Check(
        "networks that answer right and whose update is made of as many steps as the "
        "scene is back, or more: at least .9",
        "",
        f"{count(reach, windows.size)}; median {np.median(windows):.0f} steps",
        bool(reach >= 0.9 * windows.size),
    )
