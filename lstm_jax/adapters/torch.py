"""Weights from and to `torch.nn.RNN`, `LSTM` and `GRU`; torch is not imported.

    torch                                       here
    weight_ih_l0   (gates * hidden, input)      w_ih   (input, gates * hidden)
    weight_hh_l0   (gates * hidden, hidden)     w_hh   (hidden, gates * hidden)
    bias_ih_l0 + bias_hh_l0                     b      (gates * hidden,)

with one gate in an RNN, four in an LSTM, i, f, g, o in both libraries, and three in a
GRU, r, z, n in both. A GRU multiplies the last third of bias_hh by r, so that third is
b_hn here and is not added. An LSTM with a `proj_size` has weight_hr_l0 (projection,
hidden), here w_hr (hidden, projection), and a weight_hh (gates * hidden, projection).
Layer k > 0 reads the outputs of layer k - 1, those of the two directions side by side.
Keys of the direction that runs from the last step to the first end in `_reverse`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np

from lstm_jax.cells.gru import GRUParams
from lstm_jax.cells.lstm import LSTMParams
from lstm_jax.cells.projection_lstm import ProjectionLSTMParams
from lstm_jax.cells.rnn import RNNParams
from lstm_jax.cells.wrappers.directions import Directions
from lstm_jax.checks import check_type
from lstm_jax.types import Params, Shape

Layer: TypeAlias = RNNParams | LSTMParams | GRUParams | ProjectionLSTMParams

GATES = {RNNParams: 1, GRUParams: 3, LSTMParams: 4, ProjectionLSTMParams: 4}
WEIGHTS, BIASES = ("weight_ih", "weight_hh"), ("bias_ih", "bias_hh")
PROJECTION = "weight_hr"
DTYPES = ("float16", "float32", "float64")
KEY = re.compile(
    r"(weight_(ih|hh|hr)|bias_(ih|hh))_l(?P<layer>0|[1-9][0-9]*)(_reverse)?"
)


def from_torch(state_dict: Mapping[str, Any]) -> Params:
    """Returns the weights of a `torch.nn.RNN`, `LSTM` or `GRU`, copied.

        params = lj.from_torch(module.state_dict())

    The dtype is that of the module; as everywhere in JAX, float64 needs
    `jax.enable_x64`. A state dict does not tell the activation of an RNN: run weights
    of `nonlinearity="relu"` with `lj.rnn("relu")`.

    Args:
      state_dict: keys weight_ih_l{k} (gates * hidden, input), weight_hh_l{k}
        (gates * hidden, hidden) and, unless the module has `bias=False`, bias_ih_l{k}
        and bias_hh_l{k} (gates * hidden,); also with `_reverse`, and of an LSTM with a
        `proj_size` weight_hr_l{k} (projection, hidden). Values are tensors or arrays.
        Gates are told from the shape of weight_hh_l0.

    Returns:
      For one layer and one direction `RNNParams`, `LSTMParams`, `GRUParams` or
      `ProjectionLSTMParams`, the weights of `lj.cells.PROJECTION_LSTM`; for two
      directions `Directions` of them; for several layers a tuple over layers. b is the
      sum of the two biases, zero where there is none; without the last third of the
      second in a GRU, which is b_hn.

    Raises:
      TypeError: it is not a mapping, but the module itself, for example.
      ValueError: a key, shape or dtype is not that of such a module: another key, or a
        key that is missing.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> state_dict = lj.to_torch(params)  # or module.state_dict() of a torch.nn.LSTM
      >>> lj.from_torch(state_dict).w_hh.shape
      (4, 16)
    """
    check_type("state_dict", state_dict, Mapping, "a mapping, as module.state_dict()")
    _check_keys(state_dict)
    arrays = {key: _as_numpy(key, value) for key, value in state_dict.items()}
    kind = _kind(arrays)
    _check_arrays("state_dict", arrays, GATES[kind])
    layers = []
    while f"weight_ih_l{len(layers)}" in arrays:
        end = f"_l{len(layers)}"
        layer = _from_one(kind, arrays, end)
        if "weight_ih_l0_reverse" in arrays:
            layer = Directions(layer, _from_one(kind, arrays, f"{end}_reverse"))
        layers.append(layer)
    return layers[0] if len(layers) == 1 else tuple(layers)


def to_torch(params: Params) -> dict[str, np.ndarray]:
    """Returns the state dict of a `torch.nn.RNN`, `LSTM` or `GRU`, as arrays.

    A module of the same sizes, with biases, loads it by

        module.load_state_dict(
            {k: torch.from_numpy(v) for k, v in lj.to_torch(params).items()}
        )

    Args:
      params: what `from_torch` returns: `RNNParams`, `LSTMParams`, `GRUParams` or
        `ProjectionLSTMParams`, `Directions` of two alike, or a tuple of such layers,
        all alike. A tuple of one layer is written as that layer.

    Returns:
      New NumPy arrays weight_ih_l{k} (gates * hidden, input), weight_hh_l{k}
      (gates * hidden, hidden), bias_ih_l{k} = b and bias_hh_l{k} = 0, in a GRU 0, 0,
      b_hn, (gates * hidden,), and weight_hr_l{k} = w_hr; also with `_reverse` for
      `Directions`.

    Raises:
      TypeError: `params` are of another kind.
      ValueError: shapes do not fit one another, or a dtype that torch cannot take
        from NumPy, such as bfloat16.

    Example:
      >>> params = lj.LSTM.init(jax.random.key(0), input_size=3, hidden_size=4)
      >>> [(name, value.shape) for name, value in lj.to_torch(params).items()][:2]
      [('weight_ih_l0', (16, 3)), ('weight_hh_l0', (16, 4))]
    """
    layers = _checked_layers(params)
    arrays = {}
    for k, layer in enumerate(layers):
        for end, one in zip(("", "_reverse"), _directions(layer), strict=False):
            arrays |= _to_one(one, f"_l{k}{end}")
    _check_arrays("params", arrays, GATES[type(_directions(layers[0])[0])])
    return arrays


def _from_one(kind: type, arrays: dict[str, np.ndarray], end: str) -> Params:
    # jnp.array copies; jnp.asarray may share memory with a module that trains on.
    w_ih, w_hh = arrays[f"weight_ih{end}"].T, arrays[f"weight_hh{end}"].T
    b_ih = b_hh = np.zeros(w_hh.shape[1:], w_hh.dtype)
    if f"bias_ih{end}" in arrays:
        b_ih, b_hh = arrays[f"bias_ih{end}"], arrays[f"bias_hh{end}"]
    biases = {"b": b_ih + b_hh}
    if kind is GRUParams:
        b_hn = np.arange(b_hh.size) >= 2 * w_hh.shape[0]
        biases = {"b": b_ih + np.where(b_hn, 0, b_hh), "b_hn": b_hh[b_hn]}
    weights = {"w_ih": w_ih, "w_hh": w_hh, **biases}
    if kind is ProjectionLSTMParams:
        weights["w_hr"] = arrays[f"{PROJECTION}{end}"].T
    return kind(**{name: jnp.array(weight) for name, weight in weights.items()})


def _to_one(params: Layer, end: str) -> dict[str, np.ndarray]:
    b_hh = np.zeros_like(np.asarray(params.b))
    if isinstance(params, GRUParams):
        b_hn = np.atleast_1d(params.b_hn)
        before = [(0, 0)] * (b_hn.ndim - 1) + [(2 * b_hn.shape[-1], 0)]
        b_hh = np.pad(b_hn, before)
    transposed = {"weight_ih": params.w_ih, "weight_hh": params.w_hh}
    if isinstance(params, ProjectionLSTMParams):
        transposed[PROJECTION] = params.w_hr
    return {
        f"{name}{end}": np.array(np.asarray(weight).T, order="C")
        for name, weight in transposed.items()
    } | {f"bias_ih{end}": np.array(params.b), f"bias_hh{end}": b_hh}


def _directions(layer: Params) -> tuple[Params, ...]:
    return tuple(layer) if isinstance(layer, Directions) else (layer,)


def _as_numpy(key: str, value: Any) -> np.ndarray:
    if not hasattr(value, "detach"):
        return np.asarray(value)
    try:
        return value.detach().cpu().numpy()
    except TypeError as error:  # torch.bfloat16, which NumPy does not have
        raise ValueError(_dtype_message("state_dict", key, value.dtype)) from error


def _check_keys(state_dict: Mapping[str, Any]) -> None:
    for key, value in state_dict.items():
        if KEY.fullmatch(key) is None:
            raise ValueError(
                f"state_dict: unknown key {key!r} of shape {_shape(value)}; allowed: "
                "weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_hr_l0, "
                "those of further layers and those with _reverse; no prefix, which "
                "lj.adapters.load takes"
            )
    for key in _wanted_keys(state_dict):
        if key not in state_dict:
            came = ", ".join(f"{k} {_shape(v)}" for k, v in state_dict.items())
            raise ValueError(
                f"state_dict: {key} is missing; got {came or 'no keys'}; allowed: "
                "weight_ih and weight_hh of all layers from l0 on, bias_ih and bias_hh "
                "in all of them or in none, and so weight_hr and _reverse"
            )


def _wanted_keys(keys: Mapping[str, Any]) -> Iterator[str]:
    matches = [match for match in map(KEY.fullmatch, keys) if match]
    parts = WEIGHTS + BIASES if any(key.startswith("bias") for key in keys) else WEIGHTS
    parts += (PROJECTION,) if any(key.startswith(PROJECTION) for key in keys) else ()
    ends = ("", "_reverse") if any(key.endswith("_reverse") for key in keys) else ("",)
    last = max((int(match["layer"]) for match in matches), default=0)
    return (
        f"{part}_l{k}{end}" for k in range(last + 1) for end in ends for part in parts
    )


def _shape(value: Any) -> Shape:
    return tuple(np.shape(value))


def _kind(arrays: dict[str, np.ndarray]) -> type:
    if f"{PROJECTION}_l0" in arrays:
        return ProjectionLSTMParams
    shape = arrays["weight_hh_l0"].shape
    for kind, gates in GATES.items():
        if len(shape) == 2 and shape[0] == gates * shape[1] > 0:
            return kind
    raise ValueError(
        f"state_dict: weight_hh_l0 has shape {shape}; allowed: (hidden, hidden) of an "
        "RNN, (3 * hidden, hidden) of a GRU and (4 * hidden, hidden) of an LSTM"
    )


def _check_arrays(name: str, arrays: dict[str, np.ndarray], gates: int) -> None:
    dtype = arrays["weight_hh_l0"].dtype
    for key, array in arrays.items():
        wanted = _wanted_shape(key, arrays, gates)
        if array.shape != wanted:
            raise ValueError(
                f"{name}: {key} has shape {array.shape}; it must be {wanted} to fit "
                "the other weights"
            )
        if array.dtype != dtype or dtype.name not in DTYPES:
            raise ValueError(_dtype_message(name, key, array.dtype))


def _wanted_shape(key: str, arrays: dict[str, np.ndarray], gates: int) -> Shape:
    inputs, shown = (_width(arrays[f"{weight}_l0"]) for weight in WEIGHTS)
    projection = arrays.get(f"{PROJECTION}_l0")
    hidden = shown if projection is None else _width(projection)
    if key.startswith("bias"):
        return (gates * hidden,)
    if key.startswith(PROJECTION):
        return (shown, hidden)
    if key.startswith("weight_hh"):
        return (gates * hidden, shown)
    if key.startswith("weight_ih_l0"):
        return (gates * hidden, inputs)
    return (gates * hidden, 2 * shown if "weight_ih_l0_reverse" in arrays else shown)


def _width(weight: np.ndarray) -> int:
    return max([1, *weight.shape[1:2]])


def _dtype_message(name: str, key: str, dtype: Any) -> str:
    allowed = ", ".join(DTYPES)
    return f"{name}: {key} is {dtype}; allowed: {allowed}, the same for all weights"


def _checked_layers(params: Params) -> tuple[Params, ...]:
    layers = params if type(params) is tuple else (params,)
    kinds = {tuple(type(one) for one in _directions(layer)) for layer in layers}
    if kinds not in [{(kind,) * directions} for kind in GATES for directions in (1, 2)]:
        raise TypeError(
            f"params: got {described(params)}; allowed: RNNParams, LSTMParams, "
            "GRUParams or ProjectionLSTMParams, Directions of two alike, or a tuple of "
            "such layers, all alike"
        )
    return layers


def described(params: Params) -> str:
    """Returns the kinds of params, in words."""
    name = type(params).__name__
    if type(params) not in (tuple, Directions):
        return name
    return f"{name}({', '.join(described(one) for one in params)})"
