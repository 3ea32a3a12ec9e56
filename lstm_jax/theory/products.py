"""Products of step Jacobians: their bounds, their start and their limit."""

import math

import numpy as np
from jaxtyping import Float

from lstm_jax.theory.ranges import Float64s, Numbers, above, at_least, finite

STEEPEST_SLOPES = {"tanh": 1.0, "relu": 1.0, "logistic": 0.25, "linear": 1.0}
"""γ = max |φ'| of every activation of `lstm_jax.rnn`."""


def jacobian_bound(sigma_max: Numbers, lag: Numbers, gamma: Numbers = 1.0) -> Float64s:
    """Returns the largest share of a gradient that can be left after `lag` steps.

        ||dL/dh_{T-k}|| / ||dL/dh_T|| <= (γ σ_max)^k

    where L reads the last step. It is an equality for a linear RNN whose W / σ_max is
    orthogonal, and it holds for every h_t = φ(W h_{t-1} + ...) and every
    k >= 0. γ σ_max < 1 is sufficient for vanishing; γ σ_max > 1 is only necessary for
    exploding.

    Args:
      sigma_max: largest singular value of W, at least 0.
      lag: k, steps, at least 0.
      gamma: γ = max |φ'|, above 0; `STEEPEST_SLOPES` has it for each activation.

    Example:
      >>> round(float(lj.theory.jacobian_bound(sigma_max=0.9, lag=40)), 4)
      0.0148

    References:
      Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063, section 2.1;
      Hochreiter & Schmidhuber (1997), section 3.1, after Hochreiter (1991), for n
      logistic units with |w| < 4/n, https://doi.org/10.1162/neco.1997.9.8.1735
    """
    largest = at_least("sigma_max", sigma_max, 0)
    steps = at_least("lag", lag, 0)
    return (above("gamma", gamma, 0) * largest) ** steps


def jordan_block_power(
    eigenvalue: int | float, coupling: int | float, lag: int
) -> Float[np.ndarray, "2 2"]:
    """Returns the power k = `lag` of a 2x2 block whose gradient grows before it decays.

        [[λ, a], [0, λ]]^k = [[λ^k, k a λ^{k-1}], [0, λ^k]]

    It holds for every real λ and a, k >= 0. With |λ| < 1 the corner still grows until
    k is about -1 / ln |λ|: the spectral radius is what remains for k -> infinity.

    Args:
      eigenvalue: λ.
      coupling: a.
      lag: k, steps.

    Example:
      >>> lj.theory.jordan_block_power(0.5, coupling=1.0, lag=3)
      array([[0.125, 0.75 ],
             [0.   , 0.125]])

    References:
      Trefethen & Embree (2005), Spectra and Pseudospectra, on transient growth
    """
    if lag < 0:
        raise ValueError(f"lag: got {lag}; it must be at least 0")
    diagonal = float(eigenvalue) ** lag
    corner = lag * coupling * float(eigenvalue) ** (lag - 1) if lag > 0 else 0.0
    return np.array([[diagonal, corner], [0.0, diagonal]])


def spectral_radius_rate(
    w_hh: Float[np.ndarray, "*batch hidden hidden"],
) -> Float64s:
    """Returns ln ρ(W): the decay rate of an undriven RNN around h = 0, nats per step.

    Exact for k -> infinity where φ(0) = 0, φ'(0) = 1 (tanh, linear), the input is zero
    and h has gone to zero, so ρ(W) < 1; a linear RNN needs no such condition. What
    counts is the radius of THIS matrix: at finite size it scatters around the gain.

    Args:
      w_hh: recurrent weights; a transpose has the same radius.

    Example:
      >>> import numpy as np
      >>> round(float(lj.theory.spectral_radius_rate(0.5 * np.eye(4))), 3)
      -0.693

    References:
      Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063, section 2.1
    """
    matrices = finite("w_hh", w_hh)
    if matrices.ndim < 2 or matrices.shape[-1] != matrices.shape[-2]:
        raise ValueError(
            f"w_hh: shape is {matrices.shape}; it must be (*batch, hidden, hidden)"
        )
    radius = np.abs(np.linalg.eigvals(matrices)).max(-1)
    with np.errstate(divide="ignore"):
        return np.log(radius)


def initial_slope(
    std: int | float, hidden_size: int, activation_slope: int | float = 1.0
) -> float:
    """Returns the decay rate of Gaussian initial weights, in nats per step.

        ln(φ'(0) std sqrt(N)),      W_ij ~ N(0, std²)

    By the circular law ρ(W) -> std sqrt(N). It holds for N -> infinity without input,
    where the result is negative and φ stays near the state whose slope is given.

    Args:
      std: standard deviation of a weight, above 0.
      hidden_size: N.
      activation_slope: φ' where the units rest: 1 for tanh at 0, 1/4 for the logistic.

    Example:
      >>> round(lj.theory.initial_slope(std=0.1, hidden_size=64), 3)
      -0.223

    References:
      Girko (1985), https://doi.org/10.1137/1129095; Pascanu, Mikolov & Bengio (2013),
      https://arxiv.org/abs/1211.5063, for whose initial weights it is meant
    """
    above("hidden_size", hidden_size, 0)
    slope = float(above("activation_slope", activation_slope, 0))
    return math.log(slope * float(above("std", std, 0)) * math.sqrt(hidden_size))
