"""One linear unit with a long memory: its loss grows sharp though nothing explodes.

    h_t = λ h_{t-1} + x_t,      x stationary with variance 1,      λ real, |λ| < 1

x is an AR(1) sequence, E[x_t x_{t+k}] = ρ^|k|; ρ = 0 is white noise. With

    A = λρ / (1 - λρ),          B = λρ / (1 - λρ)²
"""

import numpy as np

from lstm_jax.theory.ranges import Float64s, Numbers, inside, within


def memory_variance(decay: Numbers, input_correlation: Numbers = 0.0) -> Float64s:
    """Returns E[h²] = (1 + 2A) / (1 - λ²), once h is stationary.

    Exact for |λ| < 1 and |ρ| < 1.

    Args:
      decay: λ.
      input_correlation: ρ.

    Example:
      >>> round(float(lj.theory.memory_variance(0.9)), 3)
      5.263

    References:
      Zucchet & Orvieto (2024), https://arxiv.org/abs/2405.21064
    """
    eigenvalue, product = _checked(decay, input_correlation)
    return _one_and_twice_a(product) / _fading(eigenvalue)


def sensitivity_variance(decay: Numbers, input_correlation: Numbers = 0.0) -> Float64s:
    """Returns E[(dh/dλ)²], once it is stationary.

        (1 + λ²) (1 + 2A) / (1 - λ²)³ + 2B / (1 - λ²)²

    Exact for |λ| < 1 and |ρ| < 1. It grows like (1 - |λ|)^-3 where E[h²] grows like
    (1 - |λ|)^-1: the longer the memory, the more sensitive the loss is to λ, without
    any exploding gradient.

    Args:
      decay: λ.
      input_correlation: ρ.

    Example:
      >>> round(float(lj.theory.sensitivity_variance(0.9)), 1)
      263.9

    References:
      Zucchet & Orvieto (2024), https://arxiv.org/abs/2405.21064
    """
    eigenvalue, product = _checked(decay, input_correlation)
    fading = _fading(eigenvalue)
    by_itself = (1 + eigenvalue**2) * _one_and_twice_a(product) / fading**3
    return by_itself + 2 * product / (1 - product) ** 2 / fading**2


def lru_normaliser(modulus: Numbers) -> Float64s:
    """Returns γ = sqrt(1 - |λ|²), which keeps E|h|² at 1 in h_t = λ h_{t-1} + γ x_t.

    Exact for white input of variance 1 and 0 <= |λ| < 1, λ real or complex.

    Args:
      modulus: |λ|.

    Example:
      >>> round(float(lj.theory.lru_normaliser(0.9)), 3)
      0.436

    References:
      Orvieto et al. (2023), https://arxiv.org/abs/2303.06349, section 3.4
    """
    holds = lambda v: (v >= 0) & (v < 1)
    return np.sqrt(_fading(within("modulus", modulus, holds, "at least 0 and below 1")))


def lru_ring_variance(r_min: Numbers, r_max: Numbers) -> Float64s:
    """Returns E|h|² / E|x B|² over a ring of λ, for h_t = λ h_{t-1} + x_t B.

        E[1 / (1 - |λ|²)] = ln((1 - r_min²) / (1 - r_max²)) / (r_max² - r_min²)

    Exact for white input, |λ|² ~ U[r_min², r_max²] and 0 <= r_min < r_max < 1, once h
    is stationary. It grows without bound, by a logarithm, as r_max nears 1; with the
    factor γ of `lru_normaliser` on x B it is 1.

    Args:
      r_min: the inner radius.
      r_max: the outer radius.

    Example:
      >>> round(float(lj.theory.lru_ring_variance(0.9, 0.999)), 2)
      24.23

    References:
      Orvieto et al. (2023), https://arxiv.org/abs/2303.06349, proposition 3
    """
    inner = within("r_min", r_min, lambda r: (r >= 0) & (r < 1), "at least 0, below 1")
    between = lambda r: (r > inner) & (r < 1)
    outer = within("r_max", r_max, between, "above r_min and below 1")
    width = (outer - inner) * (outer + inner)
    return np.log1p(width / _fading(outer)) / width


def _checked(decay: Numbers, input_correlation: Numbers) -> tuple[Float64s, Float64s]:
    """Returns λ and λρ."""
    eigenvalue = inside("decay", decay, -1, 1)
    correlation = inside("input_correlation", input_correlation, -1, 1)
    return eigenvalue, eigenvalue * correlation


def _fading(decay: Float64s) -> Float64s:
    """Returns 1 - λ² without cancellation near |λ| = 1."""
    return (1 - decay) * (1 + decay)


def _one_and_twice_a(product: Float64s) -> Float64s:
    """Returns 1 + 2A = (1 + λρ) / (1 - λρ)."""
    return (1 + product) / (1 - product)
