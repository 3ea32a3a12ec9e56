"""Mean-field theory of x_t = W tanh(x_{t-1}) + noise, W_ij ~ N(0, g²/N), N -> infinity.

Each pre-activation is Gaussian with a variance q that reproduces itself; slopes
d = 1 - tanh²(sqrt(q) z), z ~ N(0, 1), then give every exponent. Expectations E are over
z. A network of N units deviates by about 1/N; for g close to 1 it may also have windows
of regular motion.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import root_scalar
from scipy.special import expit

from lstm_jax.theory.ranges import Float64s, Numbers, above, at_least

# exp(-z²/2) at 9 is 3e-18.
_LAST_Z = 9.0
# Half the width, times sqrt(q), of the strip where all integrands are analytic: the
# poles of tanh lie at ±iπ/2, those of 1 / (1 + m sech⁴) from ±iπ/4 on.
_STRIP = np.pi / 4
# The trapezoidal rule errs by exp(-2π strip / step): here by exp(-40).
_ACCURACY = 40.0


def mean_field_variance(gain: Numbers, noise: Numbers = 0.0) -> Float64s:
    """Returns q, the variance of a pre-activation: q = g² E tanh²(sqrt(q) z) + s².

    Exact for N -> infinity, g > 0, s >= 0, once it is stationary; 0 without noise at
    g <= 1, where all activity dies.

    Args:
      gain: g.
      noise: s, standard deviation of the white Gaussian noise added to every x.

    Example:
      >>> lj.theory.mean_field_variance([0.5, 2.0]).round(3)
      array([0.   , 2.121])

    References:
      Molgedey, Schuchhardt & Schuster (1992),
      https://doi.org/10.1103/PhysRevLett.69.3717;
      Sompolinsky, Crisanti & Sommers (1988),
      https://doi.org/10.1103/PhysRevLett.61.259 (continuous time)
    """
    return _for_each(_variance, above("gain", gain, 0), at_least("noise", noise, 0))


def mean_field_exponent(gain: Numbers, noise: Numbers = 0.0) -> Float64s:
    """Returns the largest Lyapunov exponent, in nats per step.

        λ_1 = ½ ln(g² E d²),         d = sech²(sqrt(q) z)

    Exact for N -> infinity, g > 0, s >= 0. Positive: the state forgets its past and
    gradients explode at this rate; negative: they vanish at it. Without noise the sign
    changes at g = 1, and noise suppresses chaos.

    Args: as for `mean_field_variance`.

    Example:
      >>> lj.theory.mean_field_exponent([0.5, 2.0]).round(3)
      array([-0.693,  0.155])

    References:
      As for `mean_field_variance`; Poole et al. (2016), whose χ₁ is g² E d², for deep
      networks, https://arxiv.org/abs/1606.05340
    """

    def exponent(gain, noise):
        log_slopes, weights = _slopes(_variance(gain, noise))
        return np.log(gain) + 0.5 * np.log(weights @ np.exp(2 * log_slopes))

    return _for_each(exponent, above("gain", gain, 0), at_least("noise", noise, 0))


def mean_field_spectrum(gain: int | float, num: int) -> Float[np.ndarray, " num"]:
    """Returns `num` exponents spread evenly over the whole spectrum, descending.

        λ(a) = ½ ln(g² a / m),       E[m d² / (1 + m d²)] = a,       a = (i - ½) / num

    a in (0, 1) is the share of exponents above λ(a); with num = N, entry i is the
    prediction for exponent i of a network of N units. It treats W as drawn afresh and
    free from the slopes at every step, without noise, N -> infinity, g > 0. For g <= 1,
    d = 1 and it is exact for a matrix that is drawn afresh.

    Args:
      gain: g.
      num: how many exponents.

    Example:
      >>> lj.theory.mean_field_spectrum(3.0, num=3).round(3)
      array([-0.034, -1.416, -4.667])

    References:
      Newman (1986), https://doi.org/10.1007/BF01464284; Kargin (2008),
      https://arxiv.org/abs/0712.1378 (exponents of free operators);
      Engelken, Wolf & Abbott (2023), https://doi.org/10.1103/PhysRevResearch.5.043044
    """
    at_least("num", num, 1)
    gain = float(above("gain", gain, 0))
    slopes = _slopes(_variance(gain, 0.0))
    shares = (np.arange(num) + 0.5) / num
    log_m = [_log_m_at_share(slopes, share) for share in shares]
    return np.log(gain) + 0.5 * (np.log(shares) - np.array(log_m))


def mean_field_dimension(gain: Numbers) -> Float64s:
    """Returns D/N, the Kaplan-Yorke dimension of the attractor per unit.

        ∫_0^{D/N} λ(a) da = 0,      ∫_0^a λ = a λ(a) + ½ (E ln(1 + m d²) - a)

    with a, m and assumptions as for `mean_field_spectrum`; 0 for g <= 1. It rises near
    the onset of chaos and falls far from it. Expect it within 15% at N = 100 and g in
    [2, 8]; near g = 1 a small network need not be chaotic at all.

    Args:
      gain: g, above 0.

    Example:
      >>> round(float(lj.theory.mean_field_dimension(3.0)), 3)
      0.288

    References:
      As for `mean_field_spectrum`; Frederickson et al. (1983),
      https://doi.org/10.1016/0022-0396(83)90011-6 (Kaplan-Yorke dimension)
    """

    def dimension(gain, slopes):
        def minus_sum(log_m):
            share = _share(log_m, slopes)
            exponent = np.log(gain) + 0.5 * (np.log(share) - log_m)
            return -(share * exponent + _half_excess(log_m, slopes))

        marginal = _marginal_log_m(gain, slopes)
        return _share(_root(minus_sum, marginal, slopes), slopes)

    return _where_chaotic(dimension, gain)


def mean_field_positive_share(gain: Numbers) -> Float64s:
    """Returns the share of positive exponents; 0 for g <= 1.

    a at λ(a) = 0, argument, assumptions and source as for `mean_field_spectrum`.

    Example:
      >>> round(float(lj.theory.mean_field_positive_share(3.0)), 3)
      0.153
    """
    share = lambda gain, slopes: _share(_marginal_log_m(gain, slopes), slopes)
    return _where_chaotic(share, gain)


def mean_field_entropy(gain: Numbers) -> Float64s:
    """Returns the entropy rate per unit, nats per step: the sum of positive exponents.

    ∫ λ(a) da over λ > 0 = ½ (E ln(1 + m d²) - a) at λ(a) = 0; 0 for g <= 1. Argument,
    assumptions and source as for `mean_field_spectrum`; that the sum is the entropy is
    Pesin's identity.

    Example:
      >>> round(float(lj.theory.mean_field_entropy(3.0)), 3)
      0.025
    """
    entropy = lambda gain, slopes: _half_excess(_marginal_log_m(gain, slopes), slopes)
    return _where_chaotic(entropy, gain)


class _Slopes(NamedTuple):
    """ln d at points z, and the weights of E over z."""

    log: Float[np.ndarray, " z"]
    weights: Float[np.ndarray, " z"]


def _variance(gain: float, noise: float) -> float:
    """Solves q = g² E tanh² + s² between a point below the root and one above."""

    def excess(q):
        z, weights = _gaussian(q)
        return gain**2 * (weights @ np.tanh(np.sqrt(q) * z) ** 2) + noise**2 - q

    if noise == 0 and gain <= 1:
        return 0.0
    if noise == 0 and gain < 1 + 1e-6:
        # The root drowns in rounding; E tanh² = q - 2q² gives it to O((g - 1)²).
        return (1 - gain**-2) / 2
    # E tanh²(sqrt(q) z) >= q - 2q², so without noise q >= (g² - 1) / (2g²).
    low = max(noise**2, (1 - gain**-2) / 4 if gain > 1 else 0.0)
    return root_scalar(excess, bracket=(low, gain**2 + noise**2), xtol=1e-300).root


def _gaussian(q: float) -> tuple[Float[np.ndarray, " z"], Float[np.ndarray, " z"]]:
    """Returns points and weights of E, fine enough for functions of sqrt(q) z."""
    step = 2 * np.pi * _STRIP / _ACCURACY / np.sqrt(max(q, 1.0))
    z = np.arange(-_LAST_Z, _LAST_Z, step)
    weights = np.exp(-(z**2) / 2)
    return z, weights / weights.sum()


def _slopes(q: float) -> _Slopes:
    """Returns the slopes d = sech²(sqrt(q) z), as logarithms that can't underflow."""
    z, weights = _gaussian(q)
    x = np.sqrt(q) * np.abs(z)
    return _Slopes(log=2 * (np.log(2) - x - np.log1p(np.exp(-2 * x))), weights=weights)


def _share(log_m: float, slopes: _Slopes) -> float:
    """Returns a = E[m d² / (1 + m d²)]."""
    return float(slopes.weights @ expit(log_m + 2 * slopes.log))


def _half_excess(log_m: float, slopes: _Slopes) -> float:
    """Returns ½ (E ln(1 + m d²) - a)."""
    total = slopes.weights @ np.logaddexp(0, log_m + 2 * slopes.log)
    return 0.5 * (float(total) - _share(log_m, slopes))


def _log_m_at_share(slopes: _Slopes, share: float) -> float:
    return _root(lambda log_m: _share(log_m, slopes) - share, -60.0, slopes)


def _marginal_log_m(gain: float, slopes: _Slopes) -> float:
    """Returns ln m at λ = 0, where m = g² a."""
    return _root(
        lambda log_m: log_m - 2 * np.log(gain) - np.log(_share(log_m, slopes)),
        -60.0,
        slopes,
    )


def _root(rising: Callable[[float], float], low: float, slopes: _Slopes) -> float:
    """Returns the ln m above `low` at which a function turns positive.

    At the upper end m d² is above e^60 for every slope: a = 1 to rounding.
    """
    high = 60 - 2 * slopes.log.min()
    return root_scalar(rising, bracket=(low, high), xtol=1e-13).root


def _where_chaotic(
    compute: Callable[[float, _Slopes], float], gain: Numbers
) -> Float64s:
    """Returns compute(g, slopes without noise) for each gain, 0 for g <= 1."""

    def one(gain):
        return 0.0 if gain <= 1 else compute(gain, _slopes(_variance(gain, 0.0)))

    return _for_each(one, above("gain", gain, 0))


def _for_each(compute: Callable[..., float], *arguments: Float64s) -> Float64s:
    """Returns one number for each element of the arguments, which broadcast."""
    arrays = np.broadcast_arrays(*arguments)
    rows = zip(*(array.ravel().tolist() for array in arrays), strict=True)
    return np.array([compute(*row) for row in rows]).reshape(arrays[0].shape)[()]
