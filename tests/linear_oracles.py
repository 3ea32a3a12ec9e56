"""The cells that are linear in their memory, written again: steps of NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
from by_hand import logistic


def lru(params: Any, carry: Any, x: np.ndarray) -> tuple[Any, np.ndarray]:
    """h = λ h + γ x B with λ = exp(-exp ν + i exp θ), y = Re(h C) + x D."""
    radius, angle = np.exp(-np.exp(params.nu_log)), np.exp(params.theta_log)
    a, b, gamma = radius * np.cos(angle), radius * np.sin(angle), params.gamma_log
    re = a * carry.re - b * carry.im + np.exp(gamma) * (x @ params.b_re)
    im = a * carry.im + b * carry.re + np.exp(gamma) * (x @ params.b_im)
    y = re @ params.c_re - im @ params.c_im + x @ params.d
    return carry._replace(re=re, im=im), y


def minimal_gru(candidate: Callable) -> Callable:
    """h = (1 - z) h + z g(n)."""

    def step(params, carry, x):
        z, n = np.split(x @ params.w_ih + params.b, 2, axis=-1)
        z = logistic(z)
        h = (1 - z) * carry.h + z * candidate(n)
        return carry._replace(h=h), h

    return step


def minimal_lstm(candidate: Callable) -> Callable:
    """h = f / (f + i) h + i / (f + i) g(n)."""

    def step(params, carry, x):
        f, i, n = np.split(x @ params.w_ih + params.b, 3, axis=-1)
        f, i = logistic(f), logistic(i)
        h = f / (f + i) * carry.h + i / (f + i) * candidate(n)
        return carry._replace(h=h), h

    return step


def signed_minimal_gru(params: Any, carry: Any, x: np.ndarray) -> tuple:
    """h = tanh(a) h + z n."""
    a, z, n = np.split(x @ params.w_ih + params.b, 3, axis=-1)
    h = np.tanh(a) * carry.h + logistic(z) * n
    return carry._replace(h=h), h


def turned(params: Any, carry: Any, x: np.ndarray) -> tuple:
    """h = (1 - z) e^iφ h + z v of pairs h = (p, q), y = p C_p + q C_q."""
    angle, z, p, q = np.split(x @ params.w_ih + params.b, 4, axis=-1)
    z, cos, sin = logistic(z), np.cos(angle), np.sin(angle)
    p = (1 - z) * (cos * carry.p - sin * carry.q) + z * p
    q = (1 - z) * (sin * carry.p + cos * carry.q) + z * q
    return carry._replace(p=p, q=q), p @ params.c_p + q @ params.c_q


def real_gated(params: Any, carry: Any, x: np.ndarray) -> tuple:
    """h = a h + sqrt(1 - a²) i v with a = (1 + e^Λ)^(-8 r)."""
    r, i, v = np.split(x @ params.w_ih + params.b, 3, axis=-1)
    a = (1 + np.exp(params.a_param)) ** (-8 * logistic(r))
    h = a * carry.h + np.sqrt(1 - a * a) * logistic(i) * v
    return carry._replace(h=h), h


def positive(v: np.ndarray) -> np.ndarray:
    """v + 1/2 for v >= 0, σ(v) below, also for v + iε."""
    return np.where(np.real(v) >= 0, v + 0.5, logistic(v))


def selective(signed: bool) -> Callable:
    """h = exp(Δ A) h + Δ v B, or 2 exp(Δ A) - 1 for the factor; y = C h + D v."""

    def step(params, carry, x):
        hidden, state = params.a_log.shape
        cuts = [hidden, 2 * hidden, 2 * hidden + state]
        v, delta, b, c = np.split(x @ params.w_ih, cuts, axis=-1)
        delta = np.log1p(np.exp(delta + params.b_delta))
        factor = np.exp(-delta[..., None] * np.exp(params.a_log))
        factor = 2 * factor - 1 if signed else factor
        h = factor * carry.h + (delta * v)[..., None] * b[..., None, :]
        y = (h * c[..., None, :]).sum(-1) + params.d * v
        return carry._replace(h=h), y

    return step


def reflected(factors: int, largest: int) -> Callable:
    """h = Π (I - β v vᵀ) h + x W + b, one factor after the other."""

    def step(params, carry, x):
        beta = largest * logistic(x @ params.w_beta + params.b_beta)
        directions = np.split(x @ params.w_v + params.b_v, factors, axis=-1)
        h = carry.h
        for j, v in enumerate(directions):
            v = v / np.sqrt((v * v).sum(-1, keepdims=True))
            h = h - beta[..., j : j + 1] * (v * h).sum(-1, keepdims=True) * v
        h = h + x @ params.w_ih + params.b
        return carry._replace(h=h), h

    return step
