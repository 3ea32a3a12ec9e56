"""How often training succeeds, and how certain that is."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from lstm_jax.checks import check_number


class SuccessRate(NamedTuple):
    """A share of runs and its Wilson interval; shapes follow the counts.

    Attributes:
      rate: successes / runs.
      low: lower end of the interval.
      high: upper end.
    """

    rate: np.ndarray
    low: np.ndarray
    high: np.ndarray


def success_rate(
    successes: int | np.ndarray,
    num_runs: int | np.ndarray,
    confidence: float = 0.95,
) -> SuccessRate:
    """Returns the share of successes with its Wilson score interval.

        p = k / n,  z = Φ⁻¹((1 + confidence) / 2)
        (p + z²/2n ± z sqrt(p (1 - p)/n + z²/4n²)) / (1 + z²/n)

    It stays in [0, 1] and is reliable for few runs: 5 of 5 gives [0.57, 1].

    Args:
      successes: k, one count or many.
      num_runs: n, at least 1.
      confidence: probability that the interval covers the true rate, in (0, 1).

    Raises:
      ValueError: a count or the confidence is outside its range.

    Example:
      >>> rate = lj.training.success_rate(4, 5)
      >>> [round(float(number), 2) for number in (rate.rate, rate.low, rate.high)]
      [0.8, 0.38, 0.96]

    References:
      Wilson (1927), https://doi.org/10.1080/01621459.1927.10502953
    """
    check_number("successes", successes)
    check_number("num_runs", num_runs, "[1, inf)")
    k, n = np.asarray(successes, float), np.asarray(num_runs, float)
    if np.any((k < 0) | (k > n)):
        raise ValueError(
            f"successes: got {successes}; it must be in [0, num_runs = {num_runs}]"
        )
    check_number("confidence", confidence, "(0, 1)")
    p, z = k / n, NormalDist().inv_cdf((1 + confidence) / 2)
    centre, scale = p + z**2 / (2 * n), 1 + z**2 / n
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return SuccessRate(
        rate=p,
        # Rounding must not push the ends past 0, p or 1.
        low=np.clip((centre - half) / scale, 0, p),
        high=np.clip((centre + half) / scale, p, 1),
    )
