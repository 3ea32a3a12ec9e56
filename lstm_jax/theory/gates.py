"""What a forget gate keeps: biases as time constants.

With zero weights every forget gate is f = σ(b) at every step, and dc_T/dc_{T-k} = f^k
exactly. With weights, gates scatter around that value. Everything is computed from
ln f = -ln(1 + e^{-b}), which stays accurate where f rounds to 1.
"""

import numpy as np
from scipy.special import roots_legendre

from lstm_jax.theory.ranges import Float64s, Numbers, above, at_least, finite

# In ln u, where the integrand is smooth.
_NODES, _WEIGHTS = roots_legendre(256)


def carousel_rate(forget_bias: Numbers) -> Float64s:
    """Returns ln σ(b), the decay rate along the cell path, in nats per step.

    Exact for the LSTM and every cell c_t = f * c_{t-1} + ... with zero weights, at
    every finite b.

    Args:
      forget_bias: b.

    Example:
      >>> round(float(lj.theory.carousel_rate(1.0)), 3)
      -0.313

    References:
      Gers, Schmidhuber & Cummins (2000), https://doi.org/10.1162/089976600300015015
    """
    return -np.logaddexp(0, -finite("forget_bias", forget_bias))


def carousel_share(forget_bias: Numbers, lag: Numbers) -> Float64s:
    """Returns dc_T/dc_{T-k} = σ(b)^k, the share left after k = `lag` steps.

    Range and source as for `carousel_rate`; k >= 0.

    Example:
      >>> lj.theory.carousel_share([1.0, 5.0], lag=10).round(3)
      array([0.044, 0.935])
    """
    return np.exp(carousel_rate(forget_bias) * at_least("lag", lag, 0))


def carousel_horizon(forget_bias: Numbers) -> Float64s:
    """Returns 1 / (1 - f) = 1 + e^b, the mean number of steps that f^k remembers.

    Range and source as for `carousel_rate`.

    Example:
      >>> round(float(lj.theory.carousel_horizon(1.0)), 3)
      3.718
    """
    return 1 + np.exp(finite("forget_bias", forget_bias))


def carousel_half_life(forget_bias: Numbers) -> Float64s:
    """Returns ln 2 / -ln σ(b), the steps after which half is left.

    Range and source as for `carousel_rate`.

    Example:
      >>> round(float(lj.theory.carousel_half_life(1.0)), 3)
      2.213
    """
    return np.log(2) / -carousel_rate(forget_bias)


def chrono_bias(lag: Numbers) -> Float64s:
    """Returns b = ln(T - 1), at which 1 / (1 - σ(b)) is the lag T.

    It holds for T > 1.

    Args:
      lag: T, steps.

    Example:
      >>> round(float(lj.theory.chrono_bias(40)), 3)
      3.664

    References:
      Tallec & Ollivier (2018), section 2, https://arxiv.org/abs/1804.11188
    """
    return np.log(above("lag", lag, 1) - 1)


def chrono_share(lag: Numbers) -> Float64s:
    """Returns (1 - 1/T)^T, what the bias ln(T - 1) keeps over its own lag T.

    It tends to 1/e from below; T > 1; source as for `chrono_bias`.

    Example:
      >>> round(float(lj.theory.chrono_share(40)), 3)
      0.363
    """
    steps = above("lag", lag, 1)
    return np.exp(steps * np.log1p(-1 / steps))


def chrono_population_share(lag: Numbers, t_max: Numbers) -> Float64s:
    """Returns E[f^k], the mean share left by a layer with chrono biases.

        E[f^k] = 1/(M - 1) ∫_1^M (u / (1 + u))^k du,        M = T_max - 1

    because b = ln u with u ~ U[1, M]. It holds with zero weights, for k >= 0, T_max > 2
    and a layer of many units; 11 digits are right.

    Args:
      lag: k, steps.
      t_max: T_max, the longest lag that the biases are drawn for.

    Example:
      >>> round(float(lj.theory.chrono_population_share(40, t_max=100)), 3)
      0.394

    References:
      Tallec & Ollivier (2018), https://arxiv.org/abs/1804.11188
    """
    steps = np.expand_dims(at_least("lag", lag, 0), -1)
    largest = np.expand_dims(above("t_max", t_max, 2), -1) - 1
    half = np.log(largest) / 2
    log_u = half * (1 + _NODES)
    kept = np.exp(-steps * np.log1p(np.exp(-log_u)) + log_u)
    return (kept * _WEIGHTS * half / (largest - 1)).sum(-1)
