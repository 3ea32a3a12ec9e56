"""When `experiments.spectrum_law` shows that the spectrum follows its law."""

import numpy as np

from experiments.common import rows
from experiments.common.records import Record, take
from experiments.common.rows import Check
from lstm_jax import theory

# Of x' = W tanh(x) at N = 4096, one net each: Clark (2026), its published data.
DIMENSION = {1.5: 0.1651, 3.0: 0.2872, 5.0: 0.2459, 8.0: 0.1903, 10.0: 0.1650}
LARGE = 256  # units from which the limits of large nets are held against ours
JUDGED = (3.0, 5.0, 8.0)
NEAR, ROUGHLY = 0.02, 0.3  # of λ_1, nats per step: from NEARED units on, and below
NEARED = 512


def checks(record: Record) -> list[Check]:
    """Returns the criteria; of smaller nets than LARGE wider ones."""
    gains = [gain for gain in record.axes["gain"] if gain in JUDGED]
    return [
        *(_dimension(record, gain) for gain in gains),
        _order(record),
        _nears(record),
        _largest(record),
        _sum_rule(record),
        *(_dying(record, gain) for gain in record.axes["gain"] if gain < 1),
    ]


def _last(record: Record) -> int:
    return max(record.axes["size"])


def _is_large(record: Record) -> bool:
    return _last(record) >= LARGE


def _dimension(record: Record, gain: float) -> Check:
    found = take(record, "dimension", size=_last(record), gain=gain)
    expected = float(theory.mean_field_dimension(gain))
    apart = abs(found.mean() / expected - 1)
    return Check(
        f"D/N at g = {gain:g} within 5 % of theory",
        f"{DIMENSION[gain]} at N = 4096",
        f"{rows.mean(found, '.4f')}, theory {expected:.4f}",
        bool(apart <= (0.05 if _is_large(record) else 0.5)),
    )


def _order(record: Record) -> Check:
    """Rises near the onset of chaos, falls far from it."""
    gains = sorted(gain for gain in record.axes["gain"] if gain in DIMENSION)
    found = [
        take(record, "dimension", size=_last(record), gain=gain).mean()
        for gain in gains
    ]
    peak = gains.index(3.0)
    falls = all(np.diff(found[peak:]) < 0)
    rises = all(value < found[peak] for value in found[:peak])
    told = ", ".join(f"{value:.3f}" for value in found)
    return Check(
        "D/N is largest at g = 3, and falls from there on",
        ", ".join(f"{DIMENSION[gain]:.3f}" for gain in gains),
        f"{told} at g = {', '.join(f'{gain:g}' for gain in gains)}",
        bool(falls and rises),
    )


def misses(record: Record) -> np.ndarray:
    """Returns the mean |D/N - theory| / theory over the gains judged, (size,)."""
    gains = [gain for gain in record.axes["gain"] if gain in JUDGED]
    expected = theory.mean_field_dimension(gains)
    found = np.stack([take(record, "dimension", gain=gain) for gain in gains])
    return np.abs(found.mean(-1) / expected[:, None] - 1).mean(0)


def _nears(record: Record) -> Check:
    sizes, missed = record.axes["size"], misses(record)
    missed = missed[np.argsort(sizes)]
    told = ", ".join(f"{share:.1%}" for share in missed)
    return Check(
        "theory's D/N is missed by less at the largest N than at the smallest",
        "0.3 % at N = 4096",
        f"{told} at N = {', '.join(map(str, sorted(sizes)))}",
        bool(missed[-1] < missed[0]),
    )


def _largest(record: Record) -> Check:
    """Small nets have less than the limit, most of all at large gains."""
    small = _below(record, "largest", size=_last(record))
    large = _below(record, "large_largest", large_size=max(record.axes["large_size"]))
    told = [", ".join(f"{value:+.4f}" for value in of) for of in (large, small)]
    size = max(record.axes["large_size"])
    within = NEAR if size >= NEARED else ROUGHLY
    gains = ", ".join(f"{gain:g}" for gain in record.axes["gain"] if gain in JUDGED)
    return Check(
        f"λ_1 within {within} of theory at g = {gains}, nats per step",
        "-0.0007, -0.0012, -0.0009 at g = 3, 5, 8, N = 4096",
        f"{told[0]} at N = {size}; {told[1]} at N = {_last(record)}",
        bool((np.abs(large) <= within).all()),
    )


def _below(record: Record, name: str, **at: int) -> np.ndarray:
    gains = [gain for gain in record.axes["gain"] if gain in JUDGED]
    found = [take(record, name, gain=gain, **at).mean() for gain in gains]
    return np.array(found) - theory.mean_field_exponent(gains)


def _sum_rule(record: Record) -> Check:
    apart = take(record, "sum_rule")
    worst = float(np.nanmax(apart))
    return Check(
        "Σ λ_i = mean ln|det J| within 1e-8, where det J is not 0",
        "",
        f"{worst:.0e} at most; det J = 0 in {int(np.isnan(apart).sum())} of "
        f"{apart.size} nets",
        bool(worst <= 1e-8),
    )


def _dying(record: Record, gain: float) -> Check:
    """The distance of Kolmogorov and Smirnov between measured shares and e^{2s}/g²."""
    found = np.sort(take(record, "exponent", gain=gain), axis=-1)
    shares = np.minimum(np.exp(2 * found) / gain**2, 1)
    places = (np.arange(found.shape[-1]) + 0.5) / found.shape[-1]
    apart = np.abs(shares - places).max(-1)
    return Check(
        f"at g = {gain:g} the share of exponents below s is e^2s / g² within 0.05",
        "",
        f"{rows.mean(apart, '.3f')} apart at most",
        bool(apart.mean() <= (0.05 if _is_large(record) else 0.2)),
    )
