"""When `experiments.lyapunov` shows which number the decay curve has."""

import numpy as np

from experiments.common import rows
from experiments.common.records import Record, take
from experiments.common.rows import Check
from lstm_jax import theory

# λ_1 of x' = W tanh(x) at N = 4096, one net each: Clark (2026), its published data.
CLARK = {1.5: 0.0649, 3.0: 0.3096, 5.0: 0.5312, 8.0: 0.7494, 10.0: 0.8551}
# Read off figure 4 of Arjovsky et al. (2016), untrained, on adding of 1000 steps.
FIGURE = "uRNN flat, tanh RNN -0.031, LSTM -0.090 nats per step (read off figure 4)"
LARGE = 256  # units from which the limits of large nets are held against ours


def checks(record: Record) -> list[Check]:
    """Returns the criteria; of smaller nets than LARGE only the signs."""
    gains = record.axes["gain"]
    return [
        *(_chaotic(record, gain) for gain in gains if gain >= 1.5),
        *(_quiet(record, gain) for gain in gains if gain <= 0.8),
        _flip(record),
        _ordering(record),
    ]


def _is_large(record: Record) -> bool:
    return record.config["hidden_size"] >= LARGE


def _chaotic(record: Record, gain: float) -> Check:
    slopes = take(record, "gradient_rate", gain=gain)
    expected = float(theory.mean_field_exponent(gain))
    published = CLARK.get(gain)
    apart = abs(slopes.mean() - expected)
    return Check(
        f"slope at g = {gain:g} within 0.02 of mean field, nats per step",
        "" if published is None else f"λ_1 = {published} at N = 4096",
        f"{rows.mean(slopes)}, mean field {expected:+.4f}",
        bool(apart <= 0.02 if _is_large(record) else slopes.mean() > 0),
    )


def _quiet(record: Record, gain: float) -> Check:
    slopes = take(record, "gradient_rate", gain=gain)
    apart = np.abs(slopes - take(record, "ln_spectral_radius", gain=gain))
    return Check(
        f"|slope - ln ρ(W)| at g = {gain:g}, on average at most 0.01 nats per step",
        "",
        f"{rows.mean(apart, '.4f')}; slope {rows.mean(slopes)}",
        bool(apart.mean() <= 0.01 if _is_large(record) else slopes.mean() < 0),
    )


def _flip(record: Record) -> Check:
    first = min(gain for gain in record.axes["gain"] if gain >= 1.5)
    below, above = (take(record, "gradient_rate", gain=g) for g in (0.9, first))
    return Check(
        "the slope is negative at g = 0.9, and positive at the first g from 1.5 on",
        "",
        f"{rows.mean(below)}, and {rows.mean(above)} at g = {first:g}",
        bool(below.mean() < 0 < above.mean()),
    )


def _ordering(record: Record) -> Check:
    """The order of untrained cells alone: their initial weights are not the paper's."""
    orthogonal, lstm = (
        take(record, "driven_rate", driven=name) for name in ("orthogonal", "lstm")
    )
    tanh, flat = take(record, "gradient_rate", gain=0.9), np.abs(orthogonal).max()
    decaying = tanh.mean() < 0 and lstm.mean() < 0
    return Check(
        "orthogonal within 1e-6 of flat; tanh at g = 0.9 and an LSTM on adding decay",
        FIGURE,
        f"orthogonal {flat:.0e} at most, tanh {rows.mean(tanh)}, LSTM "
        f"{rows.mean(lstm)}",
        bool(flat < 1e-6 and decaying),
    )
