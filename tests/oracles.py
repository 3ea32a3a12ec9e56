"""The cells written again: NumPy float64, and the backward pass in `by_hand`.

The backward pass of the later cells is the complex step: one number after the other is
moved by iε. Nothing here imports JAX or `lstm_jax`, or differentiates automatically.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from by_hand import (
    Oracle,
    elman,
    four_gate,
    logistic,
    lstm_gates,
    lstm_step,
    lstm_step_back,
)
from linear_oracles import (
    delta_rule,
    fading,
    fading_sum,
    lru,
    minimal_gru,
    minimal_lstm,
    positive,
    real_gated,
    reflected,
    selective,
    signed_minimal_gru,
    turned,
    weighed_sum,
)
from turning_oracles import cayley, oscillators, relu, turning


def by_complex_step(step: Callable) -> Oracle:
    """The oracle of a step of analytic functions, its derivatives exact to rounding.

    L(v + iε) = L(v) + iε dL/dv + O(ε²), so dL/dv = Im L(v + iε) / ε

    for each number v in turn. Nothing is subtracted, so ε may be as small as 1e-100.
    """
    epsilon = 1e-100

    def step_back(params, carry, x, dy, dcarry):
        def loss(params, carry, x):
            after, y = step(params, carry, x)
            parts = [(dy, y), *zip(dcarry, after, strict=True)]
            return sum(np.sum(d * value) for d, value in parts)

        def slopes(leaf, loss_of):
            """dL/dleaf, where loss_of gives L from a leaf that has taken its place."""
            slope = np.zeros(leaf.shape)
            for place in np.ndindex(leaf.shape):
                moved = leaf.astype(complex)
                moved[place] += 1j * epsilon
                slope[place] = loss_of(moved).imag / epsilon
            return slope

        def slopes_of(tree, loss_of):
            def at(name):
                return slopes(
                    getattr(tree, name),
                    lambda moved: loss_of(tree._replace(**{name: moved})),
                )

            return type(tree)(*map(at, tree._fields))

        dparams = slopes_of(params, lambda moved: loss(moved, carry, x))
        entering = slopes_of(carry, lambda moved: loss(params, moved, x))
        return dparams, slopes(x, lambda moved: loss(params, carry, moved)), entering

    return Oracle(step, step_back)


def gates_of(params: Any, h: np.ndarray, x: np.ndarray, number: int) -> list:
    """x W_ih + h W_hh + b, cut into that many equal parts."""
    return np.split(x @ params.w_ih + h @ params.w_hh + params.b, number, axis=-1)


def lstm97(block_size: int, truncated: bool) -> Callable:
    """1997: r = [i, o, h] of before; c = c + i g; a block shares its gates."""

    def step(params, carry, x):
        r = np.concatenate([carry.i, carry.o, carry.h], axis=-1)
        if truncated:
            r = np.real(r)  # without its iε it is a constant
        blocks = carry.i.shape[-1]
        z = x @ params.w_ih + r @ params.w_hh
        z = z + np.concatenate([params.b, np.zeros(z.shape[-1] - len(params.b))])
        i, o = logistic(z[..., :blocks]), logistic(z[..., blocks : 2 * blocks])
        g = 2 * np.tanh(z[..., 2 * blocks :] / 2)
        block = np.arange(carry.c.shape[-1]) // block_size
        c = carry.c + i[..., block] * g
        h = o[..., block] * np.tanh(c / 2)
        return carry._replace(h=h, c=c, i=i, o=o), h

    return step


def lstm97_input_gate(params: Any, carry: Any, x: np.ndarray) -> tuple:
    """1997, experiment 2a: c = c + i g, both logistic, and c is shown as it is."""
    i, g = np.split(logistic(x @ params.w_ih), 2, axis=-1)
    c = carry.c + i * g
    return carry._replace(c=c), c


def lstm2000(block_size: int, truncated: bool) -> Callable:
    """2000: c = f c + i g; a block shares its gates, which alone have biases."""

    def step(params, carry, x):
        h = np.real(carry.h) if truncated else carry.h
        z = x @ params.w_ih + h @ params.w_hh
        gates = len(params.b)
        i, f, o = np.split(logistic(z[..., :gates] + params.b), 3, axis=-1)
        block = np.arange(carry.c.shape[-1]) // block_size
        g = 2 * np.tanh(z[..., gates:] / 2)
        c = f[..., block] * carry.c + i[..., block] * g
        h = o[..., block] * np.tanh(c / 2)
        return carry._replace(h=h, c=c), h

    return step


def peephole(variant: str) -> Callable:
    """Greff's vanilla LSTM; a missing gate is 1, a missing activation the identity."""

    def step(params, carry, x):
        letters = {"NIG": "fgo", "NFG": "igo", "NOG": "ifg"}.get(variant, "ifgo")
        peeping = letters.replace("g", "")
        z = dict(zip(letters, gates_of(params, carry.h, x, len(letters)), strict=True))
        p = dict(zip(peeping, np.split(params.p, len(peeping)), strict=True))
        ones = np.ones_like(carry.c)
        i, f = (logistic(z[k] + p[k] * carry.c) if k in letters else ones for k in "if")
        g = z["g"] if variant == "NIAF" else np.tanh(z["g"])
        c = f * carry.c + i * g
        o = logistic(z["o"] + p["o"] * c) if "o" in letters else ones
        h = o * (c if variant == "NOAF" else np.tanh(c))
        return carry._replace(h=h, c=c), h

    return step


def full_gate(params: Any, carry: Any, x: np.ndarray) -> tuple[Any, np.ndarray]:
    """The vanilla LSTM whose i, f, o read also [i, f, o] of before."""
    z_i, z_f, z_g, z_o = gates_of(params, carry.h, x, 4)
    r = np.concatenate([carry.i, carry.f, carry.o], axis=-1) @ params.w_gates
    r_i, r_f, r_o = np.split(r, 3, axis=-1)
    p_i, p_f, p_o = np.split(params.p, 3)
    i = logistic(z_i + r_i + p_i * carry.c)
    f = logistic(z_f + r_f + p_f * carry.c)
    c = f * carry.c + i * np.tanh(z_g)
    o = logistic(z_o + r_o + p_o * c)
    h = o * np.tanh(c)
    return carry._replace(h=h, c=c, i=i, f=f, o=o), h


def lesson_peephole(params: Any, carry: Any, x: np.ndarray) -> tuple[Any, np.ndarray]:
    """The four gates, where i, f and V read [LTM, STM, E]."""
    both = np.concatenate([carry.stm, x], axis=-1)
    everything = np.concatenate([carry.ltm, carry.stm, x], axis=-1)
    ifv = logistic(everything @ params.w_ifv + params.b_ifv)
    i, f, v = np.split(ifv, 3, axis=-1)
    kept = f * carry.ltm
    ltm = kept + i * np.tanh(both @ params.w_n + params.b_n)
    stm = v * np.tanh(kept @ params.w_u + params.b_u)
    return carry._replace(ltm=ltm, stm=stm), stm


def cifg(params: Any, carry: Any, x: np.ndarray) -> tuple[Any, np.ndarray]:
    """c = f c + (1 - f) g."""
    f, g, o = gates_of(params, carry.h, x, 3)
    c = logistic(f) * carry.c + (1 - logistic(f)) * np.tanh(g)
    h = logistic(o) * np.tanh(c)
    return carry._replace(h=h, c=c), h


def layer_norm(epsilon: float) -> Callable:
    """LN(x W_ih) and LN(h W_hh) over all four gates, LN(c) in front of tanh."""

    def normalised(v):
        mean = v.sum(-1, keepdims=True) / v.shape[-1]
        variance = ((v - mean) ** 2).sum(-1, keepdims=True) / v.shape[-1]
        return (v - mean) / (variance + epsilon) ** 0.5

    def step(params, carry, x):
        z = params.scale_ih * normalised(x @ params.w_ih) + params.b
        z = z + params.scale_hh * normalised(carry.h @ params.w_hh)
        i, f, g, o = np.split(z, 4, axis=-1)
        c = logistic(f) * carry.c + logistic(i) * np.tanh(g)
        h = logistic(o) * np.tanh(params.scale_c * normalised(c) + params.b_c)
        return carry._replace(h=h, c=c), h

    return step


def projection(params: Any, carry: Any, x: np.ndarray) -> tuple[Any, np.ndarray]:
    """The LSTM that shows (o tanh(c)) W_hr."""
    i, f, g, o = lstm_gates(params, carry.h, x)
    c = f * carry.c + i * g
    h = (o * np.tanh(c)) @ params.w_hr
    return carry._replace(h=h, c=c), h


def gru(params: Any, carry: Any, x: np.ndarray) -> tuple[Any, np.ndarray]:
    """n = tanh(.. + r (h W_hn + b_hn)), h = (1 - z) n + z h."""
    x_r, x_z, x_n = np.split(x @ params.w_ih + params.b, 3, axis=-1)
    w_r, w_z, w_n = np.split(params.w_hh, 3, axis=-1)
    r, z = logistic(x_r + carry.h @ w_r), logistic(x_z + carry.h @ w_z)
    n = np.tanh(x_n + r * (carry.h @ w_n + params.b_hn))
    h = (1 - z) * n + z * carry.h
    return carry._replace(h=h), h


def gru_reset_before(params: Any, carry: Any, x: np.ndarray) -> tuple[Any, np.ndarray]:
    """n = tanh(.. + (r h) W_hn), h = (1 - z) n + z h."""
    x_r, x_z, x_n = np.split(x @ params.w_ih + params.b, 3, axis=-1)
    w_r, w_z, w_n = np.split(params.w_hh, 3, axis=-1)
    r, z = logistic(x_r + carry.h @ w_r), logistic(x_z + carry.h @ w_z)
    n = np.tanh(x_n + (r * carry.h) @ w_n)
    h = (1 - z) * n + z * carry.h
    return carry._replace(h=h), h


def mgu(params: Any, carry: Any, x: np.ndarray) -> tuple[Any, np.ndarray]:
    """n = tanh(.. + f (h W_hn + b_hn)), h = (1 - f) n + f h."""
    x_f, x_n = np.split(x @ params.w_ih + params.b, 2, axis=-1)
    w_f, w_n = np.split(params.w_hh, 2, axis=-1)
    f = logistic(x_f + carry.h @ w_f)
    n = np.tanh(x_n + f * (carry.h @ w_n + params.b_hn))
    h = (1 - f) * n + f * carry.h
    return carry._replace(h=h), h


def janet(beta: float) -> Callable:
    """c = σ(s) c + (1 - σ(s - β)) g."""

    def step(params, carry, x):
        s, g = gates_of(params, carry.c, x, 2)
        c = logistic(s) * carry.c + (1 - logistic(s - beta)) * np.tanh(g)
        return carry._replace(c=c), c

    return step


def minimal(params: Any, carry: Any, x: np.ndarray) -> tuple[Any, np.ndarray]:
    """z = tanh(x W + b_z), h = u h + (1 - u) z with u = σ(h W_hh + z W_zh + b)."""
    z = np.tanh(x @ params.w_ih + params.b_z)
    u = logistic(carry.h @ params.w_hh + z @ params.w_zh + params.b)
    h = u * carry.h + (1 - u) * z
    return carry._replace(h=h), h


def independent(params: Any, carry: Any, x: np.ndarray) -> tuple[Any, np.ndarray]:
    """h = max(0, x W + u h + b), unit by unit."""
    h = relu(x @ params.w_ih + params.u * carry.h + params.b)
    return carry._replace(h=h), h


def antisymmetric(gamma: float, epsilon: float) -> Callable:
    """h = h + ε tanh(x W + h (W_hh - W_hhᵀ - γ I) + b)."""

    def step(params, carry, x):
        moved = carry.h @ params.w_hh - carry.h @ params.w_hh.T - gamma * carry.h
        h = carry.h + epsilon * np.tanh(x @ params.w_ih + moved + params.b)
        return carry._replace(h=h), h

    return step


def in_heads(heads: int, step: Callable) -> Callable:
    """The step whose gates read the units of their own head, the rows of w_hh."""

    def of_heads(params, carry, x):
        units, width = params.w_hh.shape
        whole = np.zeros((heads * units, width), params.w_hh.dtype)
        for column in range(width):
            first = column % (heads * units) // units * units
            whole[first : first + units, column] = params.w_hh[:, column]
        return step(params._replace(w_hh=whole), carry, x)

    return of_heads


def exponential_gates(forget_gate: str) -> Callable:
    """c = f c + e^i z, n = f n + e^i, h = o c / n; c and n over e^m, m a constant."""

    def step(params, carry, x):
        i, f, z, o = gates_of(params, carry.h, x, 4)
        log_f = -np.log1p(np.exp(-f)) if forget_gate == "sigmoid" else f
        before = np.real(carry.m)
        m = np.maximum(np.real(log_f) + before, np.real(i))
        learn, keep = np.exp(i - m), np.exp(log_f + before - m)
        c, n = keep * carry.c + learn * np.tanh(z), keep * carry.n + learn
        h = logistic(o) * c / n
        return carry._replace(h=h, c=c, n=n, m=m), h

    return step


ORACLES: dict[str, Oracle] = {
    "rnn": elman(np.tanh, lambda z, h: 1 - h**2),
    "rnn_relu": elman(lambda z: np.maximum(z, 0), lambda z, h: (z > 0) * 1.0),
    "rnn_logistic": elman(logistic, lambda z, h: h * (1 - h)),
    "rnn_linear": elman(lambda z: z, lambda z, h: np.ones_like(z)),
    "lstm": Oracle(lstm_step, lstm_step_back),
    "four_gate": four_gate("kept"),
    "four_gate_ltm": four_gate("ltm"),
    "irnn": elman(lambda z: np.maximum(z, 0), lambda z, h: (z > 0) * 1.0),
    "lstm97": by_complex_step(lstm97(1, truncated=False)),
    "lstm97_blocks_of_2_truncated_gates_biased": by_complex_step(
        lstm97(2, truncated=True)
    ),
    "lstm97_input_gate": by_complex_step(lstm97_input_gate),
    "lstm2000": by_complex_step(lstm2000(1, truncated=False)),
    "lstm2000_blocks_of_2_truncated": by_complex_step(lstm2000(2, truncated=True)),
    "peephole_lstm": by_complex_step(peephole("V")),
    "peephole_lstm_NIG": by_complex_step(peephole("NIG")),
    "peephole_lstm_NFG": by_complex_step(peephole("NFG")),
    "peephole_lstm_NOG": by_complex_step(peephole("NOG")),
    "peephole_lstm_NIAF": by_complex_step(peephole("NIAF")),
    "peephole_lstm_NOAF": by_complex_step(peephole("NOAF")),
    "peephole_lstm_FGR": by_complex_step(full_gate),
    "lesson_peephole_lstm": by_complex_step(lesson_peephole),
    "cifg_lstm": by_complex_step(cifg),
    "layer_norm_lstm": by_complex_step(layer_norm(1e-5)),
    "projection_lstm": by_complex_step(projection),
    "gru": by_complex_step(gru),
    "gru_reset_before": by_complex_step(gru_reset_before),
    "mgu": by_complex_step(mgu),
    "janet": by_complex_step(janet(1.0)),
    "minimal_rnn": by_complex_step(minimal),
    "indrnn": by_complex_step(independent),
    "antisymmetric_rnn": by_complex_step(antisymmetric(0.01, 0.01)),
    "lru": by_complex_step(lru),
    "min_gru": by_complex_step(minimal_gru(lambda n: n)),
    "min_gru_log_space": by_complex_step(minimal_gru(positive)),
    "min_lstm": by_complex_step(minimal_lstm(lambda n: n)),
    "min_lstm_log_space": by_complex_step(minimal_lstm(positive)),
    "signed_min_gru": by_complex_step(signed_minimal_gru),
    "selective_ssm": by_complex_step(selective(signed=False)),
    "selective_ssm_2_signed": by_complex_step(selective(signed=True)),
    "delta_product": by_complex_step(reflected(2, 2)),
    "delta_product_1_beta_1": by_complex_step(reflected(1, 1)),
    "mlstm": by_complex_step(weighed_sum),
    "slstm": by_complex_step(exponential_gates("sigmoid")),
    "slstm_exp_2_heads": by_complex_step(in_heads(2, exponential_gates("exp"))),
    "lstm_2_heads": by_complex_step(in_heads(2, lstm_step)),
    "gru_reset_before_2_heads": by_complex_step(in_heads(2, gru_reset_before)),
    "exp_rnn": by_complex_step(turning),
    "delta_net": by_complex_step(delta_rule(1)),
    "delta_net_beta_2": by_complex_step(delta_rule(2)),
    "gated_delta_net": by_complex_step(delta_rule(1, fading)),
    "gated_delta_net_beta_2": by_complex_step(delta_rule(2, fading)),
    "gated_linear_attention": by_complex_step(fading_sum),
    "rotation_rnn": by_complex_step(turned),
    "rg_lru": by_complex_step(real_gated),
    "co_rnn": by_complex_step(oscillators(0.042, 2.7, 4.7)),
    "sco_rnn": by_complex_step(cayley(0.5)),
}
"""By the name of the cell. A new cell adds its equations here."""
