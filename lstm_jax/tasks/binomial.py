"""Binomial probabilities, as the levels of several tasks need them."""

import numpy as np


def binomial(many: int, chance: float) -> np.ndarray:
    """Returns P(C = 0), ..., P(C = m) of the successes C in m independent trials.

    Args:
      many: m, at least 0.
      chance: of one success, between 0 and 1 and neither of them.
    """
    count = np.arange(1, many + 1)
    ways = np.cumsum(np.log((many - count + 1) / count))
    logs = np.append(0, ways + count * np.log(chance))
    return np.exp(logs + np.arange(many, -1, -1) * np.log1p(-chance))
