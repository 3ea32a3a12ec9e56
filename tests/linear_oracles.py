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


def unit(v: np.ndarray) -> np.ndarray:
    """v / |v|, also for v + iε."""
    return v / np.sqrt((v * v).sum(-1, keepdims=True))


def outer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a bᵀ, one for each in the batch."""
    return np.einsum("...i,...j->...ij", a, b)


def delta_rule(largest: int, decay: Callable = lambda params, x: 1.0) -> Callable:
    """S = α S (I - β k kᵀ) + β v kᵀ with |k| = 1, and y = S q with |q| = 1."""

    def step(params, carry, x):
        q, k, v = unit(x @ params.w_q), unit(x @ params.w_k), x @ params.w_v
        beta = largest * logistic(x @ params.w_beta + params.b_beta)
        a = decay(params, x) * (np.eye(k.shape[-1]) - beta[..., None] * outer(k, k))
        s = carry.s @ a + outer(beta * v, k)
        return carry._replace(s=s), np.einsum("...ij,...j->...i", s, q)

    return step


def fading(params: Any, x: np.ndarray) -> np.ndarray:
    """α = exp(-e^a softplus(d)), one for the whole memory."""
    delta = np.log1p(np.exp(x @ params.w_alpha + params.b_alpha))
    return np.exp(-np.exp(params.a_log) * delta)[..., None]


def fading_sum(params: Any, carry: Any, x: np.ndarray) -> tuple:
    """S = S diag(α) + v kᵀ with α = σ(a)^(1/16), and y = S q."""
    alpha = logistic(x @ params.w_alpha + params.b_alpha) ** (1 / 16)
    s = carry.s * alpha[..., None, :] + outer(x @ params.w_v, x @ params.w_k)
    return carry._replace(s=s), np.einsum("...ij,...j->...i", s, x @ params.w_q)


def weighed_sum(params: Any, carry: Any, x: np.ndarray) -> tuple:
    """C = f C + e^i v kᵀ, n = f n + e^i k, y = o C q / max(|nᵀq|, 1); m a constant."""
    q, v = x @ params.w_q, x @ params.w_v
    k = x @ params.w_k / np.sqrt(q.shape[-1])
    i, f = np.split(x @ params.w_if + params.b_if, 2, axis=-1)
    log_f, before = -np.log1p(np.exp(-f)), np.real(carry.m)
    m = np.maximum(np.real(log_f) + before, np.real(i))
    learn, keep = np.exp(i - m), np.exp(log_f + before - m)
    c = keep[..., None] * carry.c + outer(learn * v, k)
    n = keep * carry.n + learn * k
    weight = (n * q).sum(-1, keepdims=True)
    weight = np.sign(weight.real) * weight  # analytic beside 0
    floor = np.exp(-m)
    weight = np.where(weight.real > floor, weight, floor)
    read = np.einsum("...ij,...j->...i", c, q) / weight
    y = logistic(x @ params.w_o + params.b_o) * read
    return carry._replace(c=c, n=n, m=m), y
