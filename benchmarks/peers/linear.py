"""Layers that are linear in their memory, written from the equations in plain JAX.

    h_t = a_t * h_{t-1} + u_t

a and u are made of all of x before, y of all of h afterwards; between them stands

    whole tree     one `lax.associative_scan` over all of time, as S5 and the LRU do it
    plain scan     one `lax.scan` of h <- a * h + u

of complex numbers for the LRU. All take our weights. `torch_selective_ssm` is a Python
loop over time, as Mamba's reference is.

References:
  Orvieto et al. (2023), LRU, https://arxiv.org/abs/2303.06349
  Feng et al. (2024), minGRU, https://arxiv.org/abs/2410.01201
  Gu & Dao (2023), Mamba, https://arxiv.org/abs/2312.00752
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import torch

from benchmarks.peers.layers import Layer


class Equations(NamedTuple):
    """One layer around its recurrence, for all steps at once.

    Attributes:
      before: `(weights, xs) -> (a, u)`, a of shape (time, ...) that broadcasts to u's.
      after: `(weights, hs, xs) -> ys`.
    """

    before: Callable[[Any, Any], tuple[Any, Any]]
    after: Callable[[Any, Any, Any], Any]


def whole_tree(a: Any, u: Any) -> Any:
    """Returns h of every step, by one tree over all of time."""

    def composed(first, then):
        return then[0] * first[0], then[0] * first[1] + then[1]

    return jax.lax.associative_scan(composed, (a, u))[1]


def plain_scan(a: Any, u: Any) -> Any:
    """Returns h of every step, one step after the other."""

    def step(h, now):
        h = now[0] * h + now[1]
        return h, h

    return jax.lax.scan(step, jnp.zeros_like(u[0]), (a, u))[1]


RUNS = {"whole tree": whole_tree, "plain scan": plain_scan}


def _lru_before(w, xs):
    a = jnp.exp(jax.lax.complex(-jnp.exp(w.nu_log), jnp.exp(w.theta_log)))
    gamma = jnp.exp(w.gamma_log)
    u = jax.lax.complex(gamma * (xs @ w.b_re), gamma * (xs @ w.b_im))
    return jnp.broadcast_to(a, (len(xs), 1, *a.shape)), u  # one a for the whole batch


def _lru_after(w, hs, xs):
    return (hs @ jax.lax.complex(w.c_re, w.c_im)).real + xs @ w.d


def _min_gru_before(w, xs):
    z, n = jnp.split(xs @ w.w_ih + w.b, 2, axis=-1)
    z = jax.nn.sigmoid(z)
    return 1 - z, z * n


def _ssm_parts(w, xs):
    hidden, state = w.a_log.shape
    cuts = (hidden, 2 * hidden, 2 * hidden + state)
    v, delta, b, c = jnp.split(xs @ w.w_ih, cuts, axis=-1)
    return v, jax.nn.softplus(delta + w.b_delta), b, c


def _ssm_before(w, xs):
    v, delta, b, _ = _ssm_parts(w, xs)
    a = jnp.exp(delta[..., None] * -jnp.exp(w.a_log))
    return a, (delta * v)[..., None] * b[..., None, :]


def _ssm_after(w, hs, xs):
    v, _, _, c = _ssm_parts(w, xs)
    return jnp.einsum("...hn,...n->...h", hs, c) + w.d * v


EQUATIONS = {
    "lru": Equations(_lru_before, _lru_after),
    "min_gru": Equations(_min_gru_before, lambda w, hs, xs: hs),
    "selective_ssm": Equations(_ssm_before, _ssm_after),
}


def layer(cell: str, run: str) -> Layer:
    """Returns the layer of a cell, by its name, with one of `RUNS`."""
    before, after = EQUATIONS[cell]

    def apply(weights, xs):
        return after(weights, RUNS[run](*before(weights, xs)), xs)

    return Layer(run, copy=lambda params: params, apply=apply)


def torch_selective_ssm(weights: dict[str, torch.Tensor], xs: torch.Tensor) -> Any:
    """Returns ys of the selective SSM, by a Python loop over time."""
    hidden, state = weights["a_log"].shape
    widths = [hidden, hidden, state, state]
    v, delta, b, c = torch.split(xs @ weights["w_ih"], widths, dim=-1)
    delta = torch.nn.functional.softplus(delta + weights["b_delta"])
    a = torch.exp(delta[..., None] * -torch.exp(weights["a_log"]))
    u = (delta * v)[..., None] * b[..., None, :]
    h, ys = torch.zeros_like(u[0]), []
    for t in range(len(xs)):
        h = a[t] * h + u[t]
        ys.append((h * c[t][..., None, :]).sum(-1))
    return torch.stack(ys) + weights["d"] * v
