"""Recurrent nets of one unit: exact rates, thresholds, bifurcations and a cliff."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import elementwise
from scipy.special import expit, logit

from lstm_jax.theory.ranges import Float64s, Numbers, above, at_least, finite, within


class SaddleNodes(NamedTuple):
    """The biases between which x = w σ(x) + b has three solutions, two stable."""

    lower: Float64s
    upper: Float64s


class ErrorGradient(NamedTuple):
    """Derivatives of an error with respect to the weight and the bias."""

    w: Float64s
    b: Float64s


def tanh_rate(w: Numbers) -> Float64s:
    """Returns the decay rate of h_t = tanh(w h_{t-1}), nats per step, 0 or negative.

        |w| <= 1:  ln |w|                          h goes to 0
        |w| > 1:   ln(|w| (1 - h*²)),              h* = tanh(w h*) > 0

    Exact for k -> infinity from every h_0 that is not 0, without input. At |w| = 1 the
    rate is 0 and the decay a power law, `critical_tanh_product`. With w < -1 the state
    alternates between h* and -h*, which have the same slope.

    Args:
      w: recurrent weight, finite.

    Example:
      >>> round(float(lj.theory.tanh_rate(2.0)), 3)
      -1.794

    References:
      Bengio, Simard & Frasconi (1994), https://doi.org/10.1109/72.279181
    """
    weight = np.abs(finite("w", w))
    a = _latched_net(weight)
    log_slope = 2 * (np.log(2) - a - np.log1p(np.exp(-2 * a)))  # ln(1 - tanh²a)
    with np.errstate(divide="ignore"):
        return np.log(weight) + log_slope


def tanh_fixed_point(w: Numbers) -> Float64s:
    """Returns the stable h* = tanh(w h*) >= 0: the state that a unit latches, or 0.

    Exact for w >= 0; 0 where w <= 1; relative error about 1e-16 / (w - 1).

    Args:
      w: recurrent weight, at least 0.

    Example:
      >>> round(float(lj.theory.tanh_fixed_point(2.0)), 3)
      0.958

    References:
      Bengio, Simard & Frasconi (1994), https://doi.org/10.1109/72.279181
    """
    return np.tanh(_latched_net(at_least("w", w, 0)))


def critical_tanh_product(time: Numbers) -> Float64s:
    """Returns dh_T/dh_0 of h_t = tanh(h_{t-1}) from h_0 = 1: a power law in T.

        P(T) = ∏_{t=1}^T (1 - h_t²)  ->  1.6410... T^{-3/2}

    Exact at every T >= 0, w = 1 and no input, by iteration; the exponent belongs to
    every start, the constant to h_0 = 1.

    Args:
      time: T, whole steps.

    Example:
      >>> round(float(lj.theory.critical_tanh_product(100)), 6)
      0.001592

    References:
      Follows from h_t -> sqrt(3 / (2t)): de Bruijn (1981), Asymptotic Methods in
      Analysis, chapter 8, iterated functions
    """
    whole = lambda v: (v >= 0) & (v == np.floor(v))
    steps = within("time", time, whole, "a whole number, at least 0").astype(np.int64)
    h = np.empty(int(steps.max(initial=0)) + 1)
    h[0] = 1.0
    for t in range(1, len(h)):
        h[t] = np.tanh(h[t - 1])
    log_product = np.cumsum(np.log1p(-(h[1:] ** 2)))
    return np.exp(np.concatenate([[0.0], log_product])[steps])


def latch_threshold(w: Numbers) -> Float64s:
    """Returns u*(w), the noise margin of a latched unit a_t = w tanh(a_{t-1}) + u_t.

        u* = w s - artanh(s),        s = sqrt((w - 1) / w)

    A state on one side of 0 survives every sequence with |u_t| < u*, and is lost under
    a constant |u| > u* against it: at u* the fixed point meets its unstable neighbour,
    w (1 - tanh² a) = 1. Exact for w > 1, for time -> infinity.

    Args:
      w: recurrent weight.

    Example:
      >>> round(float(lj.theory.latch_threshold(2.0)), 3)
      0.533

    References:
      Bengio, Simard & Frasconi (1994), https://doi.org/10.1109/72.279181
    """
    weight = above("w", w, 1)
    s = np.sqrt((weight - 1) / weight)
    # artanh(s) = ln((1 + s) / sqrt(1 - s²)) with 1 - s² = 1/w exactly.
    return weight * s - np.log1p(s) - 0.5 * np.log(weight)


def saddle_nodes(w: Numbers) -> SaddleNodes:
    """Returns the biases at which x = w σ(x) + b gains and loses two solutions.

        σ = (1 ± sqrt(1 - 4/w)) / 2,      b = ln(σ / (1 - σ)) - w σ

    where w σ'(x) = 1. They lie around -w/2. Exact for w > 4; at w = 4 they meet, and
    below there is one solution at every b.

    Args:
      w: recurrent weight.

    Example:
      >>> nodes = lj.theory.saddle_nodes(5.0)
      >>> nodes._fields
      ('lower', 'upper')

    References:
      Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063, figure 3, after
      Doya (1993)
    """
    weight = above("w", w, 4)
    root = np.sqrt(1 - 4 / weight)
    low, high = (1 - root) / 2, (1 + root) / 2
    return SaddleNodes(
        lower=logit(high) - weight * high,
        upper=logit(low) - weight * low,
    )


def cliff_bias(w: Numbers) -> Float64s:
    """Returns b*(w) = ½ - w σ(½), the bias at which the start x_0 = ½ is a fixed point.

    It is unstable, and the wall of the error surface, where `cliff_multiplier` is above
    1, so for w > 4.2553. Exact for every finite w.

    Args:
      w: recurrent weight.

    Example:
      >>> round(float(lj.theory.cliff_bias(5.0)), 3)
      -2.612

    References:
      Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063, figure 6
    """
    return 0.5 - finite("w", w) * expit(0.5)


def cliff_multiplier(w: Numbers) -> Float64s:
    """Returns m(w) = w σ'(½): at b*(w), dx_T/dx_0 is m^T. Range as for `cliff_bias`.

    Example:
      >>> round(float(lj.theory.cliff_multiplier(5.0)), 3)
      1.175
    """
    return finite("w", w) * expit(0.5) * expit(-0.5)


def logistic_map_error(
    w: Numbers,
    b: Numbers,
    *,
    num_steps: int = 50,
    start: int | float = 0.5,
    target: int | float = 0.7,
) -> Float64s:
    """Returns E = (σ(x_T) - target)² of x_t = w σ(x_{t-1}) + b, by iteration.

    w and b broadcast, so that a grid of them gives the error surface. It holds for
    every finite w and b. On the wall, b = b*(w), a rounding error has grown by m(w)^T.

    Args:
      w: recurrent weight.
      b: bias.
      num_steps: T.
      start: x_0.
      target: what σ(x_T) should be.

    Example:
      >>> round(float(lj.theory.logistic_map_error(5.0, -2.5)), 4)
      0.0241

    References:
      Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063, figure 6
    """
    at_least("num_steps", num_steps, 0)
    w, b = np.broadcast_arrays(finite("w", w), finite("b", b))
    x = np.full(w.shape, float(start))
    for _ in range(num_steps):
        x = w * expit(x) + b
    return (expit(x) - target) ** 2


def logistic_map_gradient(
    w: Numbers,
    b: Numbers,
    *,
    num_steps: int = 50,
    start: int | float = 0.5,
    target: int | float = 0.7,
) -> ErrorGradient:
    """Returns dE/dw and dE/db of `logistic_map_error`, carried forwards with x.

        dx_t/dw = w σ'(x_{t-1}) dx_{t-1}/dw + σ(x_{t-1})
        dx_t/db = w σ'(x_{t-1}) dx_{t-1}/db + 1
        dE/dx_T = 2 (σ(x_T) - target) σ'(x_T)

    Arguments, range and source as for `logistic_map_error`.

    Example:
      >>> lj.theory.logistic_map_gradient(5.0, -2.0)._fields
      ('w', 'b')
    """
    at_least("num_steps", num_steps, 0)
    w, b = np.broadcast_arrays(finite("w", w), finite("b", b))
    x = np.full(w.shape, float(start))
    dx_dw, dx_db = np.zeros(w.shape), np.zeros(w.shape)
    for _ in range(num_steps):
        y = expit(x)
        slope = w * y * expit(-x)
        x, dx_dw, dx_db = w * y + b, slope * dx_dw + y, slope * dx_db + 1
    outer = 2 * (expit(x) - target) * expit(x) * expit(-x)
    return ErrorGradient(w=outer * dx_dw, b=outer * dx_db)


def _latched_net(w: Float64s) -> Float64s:
    """Returns the largest a = w tanh(a), for w >= 0; 0 where w <= 1.

    a / tanh(a) = w, whose left side rises from 1 at a = 0 and is above w at a = w.
    """
    latching = np.maximum(w, 1)
    excess = lambda a, w: a / np.tanh(a) - w
    found = elementwise.find_root(excess, (1e-9, latching), args=(latching,))
    return np.where(w > 1, found.x, 0.0)
