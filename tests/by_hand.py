"""Forward and backward passes by hand: the plain RNN, the LSTM and the four gates.

Nothing here imports JAX or `lstm_jax`, or differentiates automatically. (The backward
pass of the later cells is the complex step: one number after the other is moved by iε.)
Each cell is two small functions over one step, with arrays (batch, features):

    step(params, carry, x)                         -> carry, y
    step_back(params, carry, x, dy, dcarry)        -> dparams, dx, dcarry

where the carry given is the one that ENTERS the step, `dcarry` going in is dL/d(carry
that leaves it) and coming out dL/d(carry that enters it). Letters: da is dL/da.
`run` repeats them over time. Params and carries are the named tuples of the caller.

`step_back` computes the forward values again rather than having them saved.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Oracle(NamedTuple):
    """One step of a cell, forward and backward."""

    step: Callable
    step_back: Callable


class Gradients(NamedTuple):
    """What `run` returns beside the values.

    Attributes:
      params: dL/dparams.
      xs: dL/dxs, (time, batch, input).
      carry: dL/d(initial carry), leaves (batch, hidden).
      entering: dL/d(carry that enters step t), leaves (time, batch, hidden).
    """

    params: Any
    xs: np.ndarray
    carry: Any
    entering: Any


def run(
    oracle: Oracle,
    params: Any,
    carry: Any,
    xs: np.ndarray,
    dys: np.ndarray,
    dcarry: Any,
) -> tuple[Any, np.ndarray, Gradients]:
    """Runs a cell forward, then back through time.

        L = <dys, ys> + <dcarry, final carry>

    Returns:
      The final carry, ys, and the gradients of L.
    """
    entering, ys = [], []
    for x in xs:
        entering.append(carry)
        carry, y = oracle.step(params, carry, x)
        ys.append(y)
    final = carry

    dparams = [np.zeros_like(leaf) for leaf in params]
    dxs, adjoints = [], []
    for carry, x, dy in reversed(list(zip(entering, xs, dys, strict=True))):
        dparams_t, dx, dcarry = oracle.step_back(params, carry, x, dy, dcarry)
        dparams = [total + part for total, part in zip(dparams, dparams_t, strict=True)]
        dxs.append(dx)
        adjoints.append(dcarry)
    gradients = Gradients(
        params=type(params)(*dparams),
        xs=np.stack(dxs[::-1]),
        carry=adjoints[-1],
        entering=type(dcarry)(*map(np.stack, zip(*adjoints[::-1], strict=True))),
    )
    return final, np.stack(ys), gradients


def logistic(z: np.ndarray) -> np.ndarray:
    """σ(z) = 1 / (1 + e^-z)."""
    return 1 / (1 + np.exp(-z))


# --- Elman RNN ------------------------------------------------------------------------


def elman(activation: Callable, slope: Callable) -> Oracle:
    """Elman RNN, h_t = φ(z_t); `activation` = φ, `slope(z, h)` = φ'(z) at h = φ(z).

    z = x W_ih + h_{t-1} W_hh + b
    h = φ(z)                                y = h

    dz = (dy + dh) φ'(z)
    dW_ih = xᵀ dz,  dW_hh = h_{t-1}ᵀ dz,  db = Σ_batch dz
    dx = dz W_ihᵀ,  dh_{t-1} = dz W_hhᵀ
    """

    def pre_activation(params, carry, x):
        return x @ params.w_ih + carry.h @ params.w_hh + params.b

    def step(params, carry, x):
        h = activation(pre_activation(params, carry, x))
        return carry._replace(h=h), h

    def step_back(params, carry, x, dy, dcarry):
        z = pre_activation(params, carry, x)
        dz = (dy + dcarry.h) * slope(z, activation(z))
        dparams = params._replace(w_ih=x.T @ dz, w_hh=carry.h.T @ dz, b=dz.sum(0))
        return dparams, dz @ params.w_ih.T, carry._replace(h=dz @ params.w_hh.T)

    return Oracle(step, step_back)


# --- LSTM -----------------------------------------------------------------------------


def lstm_gates(params: Any, h: np.ndarray, x: np.ndarray) -> list[np.ndarray]:
    """i, f, g, o = σ, σ, tanh, σ of the quarters of x W_ih + h W_hh + b."""
    i, f, g, o = np.split(x @ params.w_ih + h @ params.w_hh + params.b, 4, axis=-1)
    return [logistic(i), logistic(f), np.tanh(g), logistic(o)]


def lstm_step(params: Any, carry: Any, x: np.ndarray) -> tuple[Any, np.ndarray]:
    """One step of the LSTM.

    c = f c_{t-1} + i g
    h = o tanh(c)                           y = h
    """
    i, f, g, o = lstm_gates(params, carry.h, x)
    c = f * carry.c + i * g
    h = o * np.tanh(c)
    return carry._replace(h=h, c=c), h


def lstm_step_back(
    params: Any, carry: Any, x: np.ndarray, dy: np.ndarray, dcarry: Any
) -> tuple[Any, np.ndarray, Any]:
    """The same step backwards, with s = tanh(c).

    dh' = dy + dh                           all that arrives at h
    dc' = dc + dh' o (1 - s²)               all that arrives at c
    dz_i = dc' g i (1 - i)
    dz_f = dc' c_{t-1} f (1 - f)
    dz_g = dc' i (1 - g²)
    dz_o = dh' s o (1 - o)
    dc_{t-1} = dc' f
    and with dz = [dz_i, dz_f, dz_g, dz_o]
    dW_ih = xᵀ dz,  dW_hh = h_{t-1}ᵀ dz,  db = Σ_batch dz
    dx = dz W_ihᵀ,  dh_{t-1} = dz W_hhᵀ
    """
    i, f, g, o = lstm_gates(params, carry.h, x)
    s = np.tanh(f * carry.c + i * g)
    dh = dy + dcarry.h
    dc = dcarry.c + dh * o * (1 - s**2)
    dz_i = dc * g * i * (1 - i)
    dz_f = dc * carry.c * f * (1 - f)
    dz_g = dc * i * (1 - g**2)
    dz_o = dh * s * o * (1 - o)
    dz = np.concatenate([dz_i, dz_f, dz_g, dz_o], axis=-1)
    dparams = params._replace(w_ih=x.T @ dz, w_hh=carry.h.T @ dz, b=dz.sum(0))
    entering = carry._replace(h=dz @ params.w_hh.T, c=dc * f)
    return dparams, dz @ params.w_ih.T, entering


# --- Four gates -----------------------------------------------------------------------


class FourGates(NamedTuple):
    """What the gates of one step compute, by the letters of the lesson."""

    n: np.ndarray
    i: np.ndarray
    f: np.ndarray
    v: np.ndarray
    kept: np.ndarray
    ltm: np.ndarray


def four_gates(params: Any, carry: Any, x: np.ndarray) -> FourGates:
    """The gates that read [STM_{t-1}, E] = [stm, x], and the memory they make.

    N = tanh([stm, x] W_n + b_n)
    i, f, V = σ([stm, x] W + b) with the W and b of each
    kept = f LTM_{t-1}
    LTM = kept + N i
    """
    joint = np.concatenate([carry.stm, x], axis=-1)
    n = np.tanh(joint @ params.w_n + params.b_n)
    i = logistic(joint @ params.w_i + params.b_i)
    f = logistic(joint @ params.w_f + params.b_f)
    v = logistic(joint @ params.w_v + params.b_v)
    kept = f * carry.ltm
    return FourGates(n=n, i=i, f=f, v=v, kept=kept, ltm=kept + n * i)


def four_gate(use_input: str) -> Oracle:
    """The cell with learn, forget, remember and use gates.

    N, i, f, V, kept, LTM as in `four_gates`; the use gate reads R, which is kept, or
    LTM where `use_input` says so:

    U = tanh(R W_u + b_u)
    STM = U V                               y = STM

    dSTM' = dy + dSTM                       all that arrives at STM
    dz_u = dSTM' V (1 - U²)
    dz_v = dSTM' U V (1 - V)
    dR = dz_u W_uᵀ
    dLTM' = dLTM, plus dR where R is LTM    all that arrives at LTM
    dkept = dLTM', plus dR where R is kept
    dz_n = dLTM' i (1 - N²)
    dz_i = dLTM' N i (1 - i)
    dz_f = dkept LTM_{t-1} f (1 - f)
    dLTM_{t-1} = dkept f
    dW_u = Rᵀ dz_u,  db_u = Σ_batch dz_u
    and for each of n, i, f, v
    dW = [stm, x]ᵀ dz,  db = Σ_batch dz
    [dSTM_{t-1}, dx] = Σ dz Wᵀ
    """

    def step(params, carry, x):
        gates = four_gates(params, carry, x)
        u = np.tanh(getattr(gates, use_input) @ params.w_u + params.b_u)
        stm = u * gates.v
        return carry._replace(ltm=gates.ltm, stm=stm), stm

    def step_back(params, carry, x, dy, dcarry):
        gates = four_gates(params, carry, x)
        n, i, f, v, _, _ = gates
        read = getattr(gates, use_input)
        u = np.tanh(read @ params.w_u + params.b_u)

        dstm = dy + dcarry.stm
        dz_u = dstm * v * (1 - u**2)
        dz_v = dstm * u * v * (1 - v)
        dread = dz_u @ params.w_u.T
        dltm = dcarry.ltm + (dread if use_input == "ltm" else 0)
        dkept = dltm + (dread if use_input == "kept" else 0)
        dz_n = dltm * i * (1 - n**2)
        dz_i = dltm * n * i * (1 - i)
        dz_f = dkept * carry.ltm * f * (1 - f)

        joint = np.concatenate([carry.stm, x], axis=-1)
        dparams = params._replace(
            w_n=joint.T @ dz_n, b_n=dz_n.sum(0),
            w_i=joint.T @ dz_i, b_i=dz_i.sum(0),
            w_f=joint.T @ dz_f, b_f=dz_f.sum(0),
            w_u=read.T @ dz_u, b_u=dz_u.sum(0),
            w_v=joint.T @ dz_v, b_v=dz_v.sum(0),
        )  # fmt: skip
        djoint = (
            dz_n @ params.w_n.T
            + dz_i @ params.w_i.T
            + dz_f @ params.w_f.T
            + dz_v @ params.w_v.T
        )
        hidden = carry.stm.shape[-1]
        entering = carry._replace(ltm=dkept * f, stm=djoint[:, :hidden])
        return dparams, djoint[:, hidden:], entering

    return Oracle(step, step_back)
