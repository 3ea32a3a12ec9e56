"""Lyapunov exponents of products of fresh Gaussian matrices: a spectrum with no error.

At every step W_t is drawn anew, its N x N entries independent N(0, g²/N). In the QR
iteration R_ii is then g / sqrt(N) times a chi variable with N - i + 1 degrees of
freedom, independent of all others, so that means and standard errors are known.
"""

import numpy as np
from jaxtyping import Float
from scipy.special import digamma, polygamma

from lstm_jax.theory.ranges import above, at_least


def gaussian_product_exponents(
    size: int, gain: int | float = 1.0
) -> Float[np.ndarray, " size"]:
    """Returns the exponents of ∏ W_t, descending, in nats per step.

        λ_i = ln g + ½ [ln(2/N) + ψ((N - i + 1)/2)],        i = 1 .. N

    ψ is the digamma function. Exact at every N >= 1 and g > 0, for time -> infinity.

    Args:
      size: N.
      gain: g.

    Example:
      >>> lj.theory.gaussian_product_exponents(3).round(3)
      array([-0.184, -0.491, -1.184])

    References:
      Newman (1986), https://doi.org/10.1007/BF01464284
    """
    freedom = _degrees_of_freedom(size)
    spread = 0.5 * (np.log(2 / size) + digamma(freedom / 2))
    return np.log(above("gain", gain, 0)) + spread


def gaussian_product_stderr(size: int, time: int) -> Float[np.ndarray, " size"]:
    """Returns the standard error of each exponent measured over `time` steps.

        ½ sqrt(ψ₁((N - i + 1)/2) / T)

    ψ₁ is the trigamma function; the gain plays no part. Exact at every N and T >= 1:
    ψ₁(n/2) / 4 is the variance of the logarithm of a chi variable with n degrees of
    freedom.

    Args:
      size: N.
      time: T, steps.

    Example:
      >>> lj.theory.gaussian_product_stderr(3, time=1000).round(4)
      array([0.0153, 0.0203, 0.0351])

    References:
      For the chi variables, Newman (1986), https://doi.org/10.1007/BF01464284
    """
    steps = at_least("time", time, 1)
    return 0.5 * np.sqrt(polygamma(1, _degrees_of_freedom(size) / 2) / steps)


def _degrees_of_freedom(size: int) -> Float[np.ndarray, " size"]:
    at_least("size", size, 1)
    return np.arange(size, 0, -1, dtype=np.float64)
