"""The cells whose memory turns or swings, written again: steps of NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg


def relu(z: np.ndarray) -> np.ndarray:
    """max(0, z), also for z + iε."""
    return np.where(np.real(z) > 0, z, 0)


def turning(params: Any, carry: Any, x: np.ndarray) -> tuple[Any, np.ndarray]:
    """h = sign(z) max(0, |z| + b), z = x W + h e^A, A = U - Uᵀ, U above the diagonal.

    |z| is written sign(z) z, which is analytic beside 0.
    """
    upper = np.triu(params.w_hh, 1)
    z = x @ params.w_ih + carry.h @ scipy.linalg.expm(upper - upper.T)
    sign = np.sign(z.real)
    h = sign * relu(sign * z + params.b)
    return carry._replace(h=h), h


def cayley(negative: float) -> Callable:
    """h = sign(z) max(0, |z| + b), z = x W + h (I + A)⁻¹ (I - A) D, A as above."""

    def step(params, carry, x):
        upper, units = np.triu(params.w_hh, 1), len(params.w_hh)
        a, eye = upper - upper.T, np.eye(units)
        d = np.ones(units)
        d[units - round(negative * units) :] = -1
        z = x @ params.w_ih + carry.h @ np.linalg.solve(eye + a, eye - a) * d
        sign = np.sign(z.real)
        h = sign * relu(sign * z + params.b)
        return carry._replace(h=h), h

    return step


def oscillators(dt: float, gamma: float, epsilon: float) -> Callable:
    """z = z + dt (tanh(x W + y W_y + z W_z + b) - gamma y - eps z), y = y + dt z."""

    def step(params, carry, x):
        y, z = carry
        read = x @ params.w_ih + y @ params.w_hh + z @ params.w_zh
        z = (1 - dt * epsilon) * z + dt * (np.tanh(read + params.b) - gamma * y)
        y = y + dt * z
        return carry._replace(y=y, z=z), y

    return step
