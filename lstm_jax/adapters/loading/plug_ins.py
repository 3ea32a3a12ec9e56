"""The JSON files of audio plug-ins that say what they are.

.nam            Neural Amp Modeler: "architecture": "LSTM", and one flat list: per layer
                the rows [W_ih, W_hh] of gates i, f, g, o, the bias, the first h and c;
                then the weights and the bias of the head
GuitarML        "model_data": {"unit_type": ...}, and a state dict of torch
"""

from typing import Any

import numpy as np

from lstm_jax.adapters.loading.layouts import Fields, Layout, Module, layout
from lstm_jax.adapters.loading.source import Source, source_of
from lstm_jax.adapters.loading.weights import params_of
from lstm_jax.cells import LSTM, learned_carry
from lstm_jax.cells.lstm import LSTMCarry, LSTMParams
from lstm_jax.cells.wrappers.learned_carry import LearnedCarryParams

HEAD = "head/weight"


def read(what: str, stored: Any) -> Source:
    """Returns the source of a JSON file; ValueError if it says nothing of a network."""
    if isinstance(stored, dict) and stored.get("architecture") == "LSTM":
        return _nam(what, stored)
    if isinstance(stored, dict) and "state_dict" in stored:
        arrays = {k: np.asarray(v, np.float32) for k, v in stored["state_dict"].items()}
        skip = stored.get("model_data", {}).get("skip")
        notes = ("the file adds its input to its output (skip): the readout doesn't",)
        return source_of(what, arrays, notes=notes if skip else ())
    raise ValueError(
        'it must have "architecture": "LSTM" and "weights", as Neural Amp Modeler '
        'writes it, or a "state_dict", as GuitarML does'
    )


def _nam(what: str, stored: dict[str, Any]) -> Source:
    config = stored["config"]
    flat = np.asarray(stored["weights"], np.float32)
    hidden, inputs = config["hidden_size"], config["input_size"]
    sizes = []
    for at in range(config["num_layers"]):
        width = (inputs if at == 0 else hidden) + hidden
        sizes += [(f"{at}/w", (4 * hidden, width)), (f"{at}/b", (4 * hidden,))]
        sizes += [(f"{at}/h", (hidden,)), (f"{at}/c", (hidden,))]
    sizes += [(HEAD, (1, hidden)), ("head/bias", (1,))]
    wanted = sum(int(np.prod(shape)) for _, shape in sizes)
    if len(flat) != wanted:
        raise ValueError(f'"weights" holds {len(flat)} numbers; it must be {wanted}')
    cuts = np.cumsum([np.prod(shape) for _, shape in sizes])[:-1]
    parts = zip(sizes, np.split(flat, cuts), strict=True)
    prefix = lambda name: name if name.startswith("head") else f"lstm/{name}"
    arrays = {prefix(name): part.reshape(shape) for (name, shape), part in parts}
    notes = ("h and c begin with values of the file: the cell is a learned_carry",)
    return Source(what, arrays, {}, notes)


def read_nam(fields: Fields, settings: dict[str, Any]) -> Module:
    """Returns the layers of a .nam file, each with its first carry."""
    number = sum(field.endswith("/w") for field in fields)
    return Module(
        learned_carry(LSTM), tuple(_layer(fields, at) for at in range(number))
    )


def _layer(fields: Fields, at: int) -> LearnedCarryParams:
    both, b, h, c = (fields[f"{at}/{name}"] for name in "wbhc")
    inputs = both.shape[1] - len(h)
    weights = params_of(
        LSTMParams, w_ih=both[:, :inputs].T, w_hh=both[:, inputs:].T, b=b
    )
    return LearnedCarryParams(weights, params_of(LSTMCarry, h=h, c=c))


NAM: tuple[Layout, ...] = (layout(r"\d+/[wbhc]", "0/w 0/b 0/h 0/c", read=read_nam),)
