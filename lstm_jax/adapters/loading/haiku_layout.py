"""The layouts of Haiku.

hk.LSTM          linear: x and h in one matrix, gates i, g, f, o, and 1 added to f
hk.GRU           w_i, w_h, b: gates z, r, a; resets before the product; z is what is NEW
hk.VanillaRNN    linear, linear_1; its activation is relu
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from lstm_jax.adapters.loading.layouts import Fields, Layout, Module, layout
from lstm_jax.adapters.loading.weights import check_shape, of_gates, params_of, to_gates
from lstm_jax.cells import GRU_RESET_BEFORE, LSTM, rnn
from lstm_jax.cells.gru_reset_before import GRUResetBeforeParams
from lstm_jax.cells.lstm import LSTMParams
from lstm_jax.cells.rnn import RNNParams

LSTM_ORDER, GRU_ORDER = (0, 2, 1, 3), (1, 0, 2)


def _forget(b: Any) -> np.ndarray:
    """Returns what hk.LSTM adds to its forget gate."""
    return np.repeat(np.array([0, 1, 0, 0], b.dtype), len(b) // 4)


def _new_share(b: Any) -> np.ndarray:
    """Returns the signs of the gates r, z, n."""
    return np.repeat(np.array([1, -1, 1], b.dtype), len(b) // 3)


def read_haiku_lstm(fields: Fields, settings: dict[str, Any]) -> Module:
    """Returns hk.LSTM: one matrix for x and h."""
    both, b = fields["linear/w"], fields["linear/b"]
    hidden = both.shape[-1] // 4
    check_shape("linear/b", b, (4 * hidden,))
    inputs = len(both) - hidden
    if both.shape[-1] % 4 or inputs < 1:
        raise ValueError(
            f"linear/w has shape {both.shape}; it must be (input + hidden, 4 * hidden)"
        )
    params = params_of(
        LSTMParams,
        w_ih=of_gates(both[:inputs], LSTM_ORDER),
        w_hh=of_gates(both[inputs:], LSTM_ORDER),
        b=of_gates(b, LSTM_ORDER) + _forget(b),
    )
    return Module(LSTM, (params,))


def read_haiku_gru(fields: Fields, settings: dict[str, Any]) -> Module:
    """Returns hk.GRU: z there is the share that is new, so its weights change sign."""
    hidden = len(fields["w_h"])
    weights = {}
    for name, field in {"w_ih": "w_i", "w_hh": "w_h", "b": "b"}.items():
        shape = (*fields[field].shape[:-1], 3 * hidden)
        array = check_shape(field, fields[field], shape)
        weights[name] = of_gates(array, GRU_ORDER)
    signed = {name: w * _new_share(weights["b"]) for name, w in weights.items()}
    return Module(GRU_RESET_BEFORE, (params_of(GRUResetBeforeParams, **signed),))


def read_haiku_rnn(fields: Fields, settings: dict[str, Any]) -> Module:
    """Returns hk.VanillaRNN, whose activation is relu."""
    b = fields["linear/b"] + fields.get("linear_1/b", 0)
    params = params_of(
        RNNParams, w_ih=fields["linear/w"], w_hh=fields["linear_1/w"], b=b
    )
    return Module(rnn("relu"), (params,))


def write(params: Any) -> dict[str, Any]:
    """Returns the params of hk.LSTM, hk.GRU or hk.VanillaRNN outside other modules."""
    w_ih, w_hh, b = params
    if isinstance(params, LSTMParams):
        both = to_gates(jnp.concatenate([w_ih, w_hh]), LSTM_ORDER)
        b = to_gates(b - _forget(b), LSTM_ORDER)
        return {"lstm/linear": {"w": both, "b": b}}
    if isinstance(params, GRUResetBeforeParams):
        named = {"w_i": w_ih, "w_h": w_hh, "b": b}
        signs = _new_share(b)
        return {"gru": {n: to_gates(w * signs, GRU_ORDER) for n, w in named.items()}}
    return {
        "vanilla_rnn/linear": {"w": w_ih, "b": b},
        "vanilla_rnn/linear_1": {"w": w_hh, "b": jnp.zeros_like(b)},
    }


def _within(module: str) -> str:
    """Matches what stands inside a Haiku module of this default name."""
    return rf"(?:(?<={module}/)|(?<={module}_\d/)|(?<={module}_\d\d/))"


HAIKU: tuple[Layout, ...] = (
    layout(f"{_within('lstm')}linear/[wb]", "linear/w linear/b", read=read_haiku_lstm),
    layout("w_i|w_h|b", "w_i w_h b", read=read_haiku_gru),
    layout(
        f"{_within('vanilla_rnn')}linear(?:_1)?/[wb]",
        "linear/w linear/b linear_1/w",
        read=read_haiku_rnn,
    ),
)
