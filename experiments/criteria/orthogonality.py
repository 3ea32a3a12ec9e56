"""When `experiments.orthogonality` shows what keeps a gradient."""

import numpy as np

from experiments.common import rows
from experiments.common.records import Record, take
from experiments.common.rows import Check

COPIES, STAYS = "exp_rnn", "rnn"
LARGE = 100  # T from which a tanh RNN stays at chance, and N of the dimensions
SOLVED, SHARE, STUCK = 0.1, 0.6, 0.95  # of chance, of the seeds, of chance
FAR, RMS = 5, (0.6, 1.5)
SUM_RULE = 1e-8
FALL = 0.04  # of D/N, from the lower gain to the higher
TOP, NEAR_ZERO, LOWERED = 10, 0.02, 10
UPDATES = 500  # docs/decisions/014-calibration-orthogonality.md
LEAST_FLOSSED = 40  # units


def checks(record: Record) -> list[Check]:
    """Returns the criteria; of smaller sizes only which way it goes."""
    return [
        _copies(record),
        _stays(record),
        _fall(record),
        _fresh(record),
        _sum_rule(record),
        _near_zero(record),
        _conditioned(record),
    ]


# -- Copy ----------------------------------------------------------------------------


def _is_long(record: Record) -> bool:
    return record.config["delay"] >= LARGE


def of_chance(record: Record, network: str) -> np.ndarray:
    """Returns the losses on fresh sequences as a share of chance, (seed,)."""
    floor = float(take(record, "copy_floor"))
    return take(record, "copy_test_loss", network=network) / floor


def lowest(record: Record, network: str) -> np.ndarray:
    """Returns the lowest mean loss of a tenth of the updates, of chance, (seed,)."""
    losses = take(record, "copy_loss", network=network)
    means = np.stack([part.mean(-1) for part in np.array_split(losses, 10, axis=-1)])
    # NaN after a run that diverged: it has learnt nothing more.
    return np.nanmin(means, axis=0) / float(take(record, "copy_floor"))


def _copies(record: Record) -> Check:
    shares = of_chance(record, COPIES)
    solved = shares <= (SOLVED if _is_long(record) else STUCK)
    return Check(
        f"{COPIES} on copy: at most {SOLVED} of chance in 3 of 5 seeds",
        "uRNN of 128 units: solved within a few thousand updates (read off a figure)",
        f"{rows.mean(shares, '.4f')} of chance; "
        f"{rows.count(int(solved.sum()), solved.size)}",
        bool(solved.mean() >= SHARE),
    )


def _stays(record: Record) -> Check:
    """Of a short delay, only that it is far behind."""
    shares, least = of_chance(record, STAYS), lowest(record, STAYS)
    stuck = np.minimum(shares, least) >= STUCK
    behind = shares > 2 * of_chance(record, COPIES)
    return Check(
        f"tanh RNN on copy: at least {STUCK} of chance, at its lowest, in all seeds",
        "0.171 of 0.1733, or 0.987, after 50 000 updates (read off a figure)",
        f"{rows.mean(shares, '.3f')} of chance; lowest {least.min():.3f}",
        bool(stuck.all() if _is_long(record) else behind.all()),
    )


# -- Spectra -------------------------------------------------------------------------


def fall(record: Record) -> np.ndarray:
    """Returns D/N at the lowest gain minus that at the highest, (seed,)."""
    gains = record.axes["spectrum_gain"]
    low, high = (
        take(record, "dimension", spectrum_gain=of(gains)) for of in (min, max)
    )
    return low - high


def _fall(record: Record) -> Check:
    found, gains = fall(record), record.axes["spectrum_gain"]
    large = record.config["spectrum_size"] >= LARGE
    return Check(
        f"D/N falls by {FALL} at least from g = {min(gains):g} to {max(gains):g}, in "
        "every net",
        "by 0.097 at N = 4096 (0.2872 to 0.1903)",
        f"by {rows.mean(found, '.3f')}; least {found.min():.3f}, in discrete time",
        bool((found >= FALL).all() if large else found.mean() > 0),
    )


def _fresh(record: Record) -> Check:
    z = take(record, "fresh_z")
    rms, worst = float(np.sqrt((z**2).mean())), float(np.abs(z).max())
    low, high = RMS if z.size >= 64 else (0, 2)
    return Check(
        f"fresh matrices: exponents within {FAR} standard errors of Newman's, rms in "
        f"[{RMS[0]}, {RMS[1]}]",
        "",
        f"rms {rms:.2f}, largest {worst:.2f}, of {z.size}",
        bool(worst < FAR and low <= rms <= high),
    )


def _sum_rule(record: Record) -> Check:
    fresh, nets = float(take(record, "fresh_sum_rule")), take(record, "sum_rule")
    worst = max(fresh, float(np.nanmax(nets, initial=0)))
    return Check(
        "Σ λ_i = mean ln|det J| within 1e-8, where det J is not 0",
        "",
        f"{worst:.0e} at most; det J = 0 in {int(np.isnan(nets).sum())} of "
        f"{nets.size} nets",
        bool(worst <= SUM_RULE),
    )


# -- Flossing ------------------------------------------------------------------------


def top(record: Record) -> np.ndarray:
    """Returns the mean |λ_i| of the first ten, (seed, measure)."""
    flossed = min(TOP, record.config["floss_exponents"])
    return np.abs(take(record, "flossed_exponent")[..., :flossed]).mean(-1)


def reached(record: Record) -> np.ndarray:
    """Returns the updates after which that mean is first near zero, (seed,), or inf.

    Of nets smaller than LEAST_FLOSSED, after which it is first halved.
    """
    found = top(record)
    large = record.config["floss_size"] >= LEAST_FLOSSED
    near = found < (NEAR_ZERO if large else found[:, :1] / 2)
    return np.where(
        near.any(1), np.array(record.axes["flossed"], float)[near.argmax(1)], np.inf
    )


def _near_zero(record: Record) -> Check:
    found, updates = top(record), reached(record)
    last = record.axes["flossed"][-1]
    return Check(
        f"flossing: mean |λ| of the first {TOP} below {NEAR_ZERO} nats per step within "
        f"{UPDATES} updates, in all nets",
        "",
        f"after {rows.median(updates)} updates; {rows.mean(found[:, 0], '.3f')} "
        f"before, {rows.mean(found[:, -1], '.4f')} after {last}",
        bool((updates <= UPDATES).all()),
    )


def lowered(record: Record) -> np.ndarray:
    """Returns by how many nats flossing lowers the condition number, (seed,)."""
    conditions = take(record, "log_condition")
    return conditions[:, 0] - conditions[:, -1]


def _conditioned(record: Record) -> Check:
    conditions, length = take(record, "log_condition"), record.config["floss_length"]
    return Check(
        f"flossing lowers σ_1/σ_k of the long-term Jacobian, k exponents flossed, by "
        f"{LOWERED} times at least",
        "",
        f"of {length} steps, k = {record.config['floss_exponents']}: ln "
        f"{conditions[:, 0].mean():.1f} to {conditions[:, -1].mean():.1f}, by "
        f"e^{lowered(record).min():.0f} at least",
        bool((lowered(record) >= np.log(LOWERED)).all()),
    )
