"""This library's own params by path: [module/][layer/][direction/]w_ih, w_hh, b, ...

`experiments.train` and `lstm_jax.training.checkpoints.named_arrays` write them so.
"""

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.adapters.loading.layouts import Fields, Layout, Module, layout
from lstm_jax.adapters.loading.weights import TANH_ASSUMED, check_shape, params_of
from lstm_jax.cells import GRU, LSTM, PROJECTION_LSTM, RNN, learned_carry
from lstm_jax.cells.gru import GRUParams
from lstm_jax.cells.lstm import LSTMParams
from lstm_jax.cells.projection_lstm import ProjectionLSTMParams
from lstm_jax.cells.rnn import RNNParams
from lstm_jax.cells.wrappers.directions import Directions
from lstm_jax.cells.wrappers.learned_carry import LearnedCarryParams

CELLS = {
    LSTMParams: (LSTM, 4),
    GRUParams: (GRU, 3),
    RNNParams: (RNN, 1),
    ProjectionLSTMParams: (PROJECTION_LSTM, 4),
}


def read(fields: Fields, settings: dict[str, Any]) -> Module:
    """Returns one layer, or layers by number, in one direction or in both."""
    found = [{way: _layer(of) for way, of in ways.items()} for ways in _parts(fields)]
    kind, *others = {kind: None for ways in found for kind, _ in ways.values()}
    if others:
        names = ", ".join(sorted(CELLS[one][0].name for one in (kind, *others)))
        raise ValueError(f"its layers are {names}; they must be of one cell")
    layers = [_layer_of({way: one for way, (_, one) in ways.items()}) for ways in found]
    if len(set(map(len, layers))) > 1:
        raise ValueError("some of its layers have both directions; all must, or none")
    for below, layer in pairwise(layers):
        shown = sum(len(one.w_hh) for one in below)
        for one in layer:
            check_shape("w_ih of an upper layer", one.w_ih, (shown, len(one.b)))
    notes = (TANH_ASSUMED,) if kind is RNNParams else ()
    both = len(layers[0]) > 1
    return Module(CELLS[kind][0], tuple(p if both else p[0] for p in layers), notes)


def _parts(fields: Fields) -> list[dict[str, Fields]]:
    """Returns the weights by direction of every layer; "" if it has only one."""
    layers: dict[int, dict[str, Fields]] = {}
    for field, array in fields.items():
        *where, name = field.split("/")
        number = int(where[0]) if where and where[0].isdecimal() else 0
        way = where[-1] if where and where[-1] in Directions._fields else ""
        layers.setdefault(number, {}).setdefault(way, {})[name] = array
    return [layers[number] for number in sorted(layers)]


def _layer_of(ways: dict[str, Any]) -> tuple[Any, ...]:
    """Returns the params of a layer's one direction, or `Directions`."""
    if ways.keys() not in ({""}, set(Directions._fields)):
        named = ", ".join(way or "one without a direction" for way in ways)
        raise ValueError(f"a layer has {named}; it must have forward and backward")
    return Directions(**ways) if len(ways) > 1 else (*ways.values(),)


def _layer(fields: Fields) -> tuple[type, Any]:
    for kind, (_, gates) in CELLS.items():
        if fields.keys() == set(kind._fields) and _gates(fields, kind) == gates:
            return kind, params_of(kind, **checked(fields, kind, gates))
    found = ", ".join(f"{name} {np.shape(fields[name])}" for name in sorted(fields))
    raise ValueError(
        f"it holds {found}; it must be an LSTM, w_ih (input, 4 * hidden), w_hh "
        "(hidden, 4 * hidden), b, a GRU, with 3 and b_hn (hidden,), or an RNN, with 1"
    )


def _gates(fields: Fields, kind: type) -> int:
    """Returns how many gates stand side by side; 0 if it can't be told."""
    hidden = fields["w_hr" if kind is ProjectionLSTMParams else "w_hh"]
    if not hidden.ndim or not len(hidden):
        return 0
    return fields["w_hh"].shape[-1] // len(hidden) if fields["w_hh"].ndim == 2 else 0


def checked(fields: Fields, kind: type, gates: int) -> Fields:
    """Returns the weights of a layer; refuses shapes that do not fit one another."""
    shown = len(fields["w_hh"])
    hidden = len(fields["w_hr"]) if kind is ProjectionLSTMParams else shown
    inputs = fields["w_ih"].shape[:1]
    wanted = {
        "w_ih": (*inputs, gates * hidden),
        "w_hh": (shown, gates * hidden),
        "b": (gates * hidden,),
        "b_hn": (hidden,),
        "w_hr": (hidden, shown),
    }
    return {name: check_shape(name, fields[name], wanted[name]) for name in fields}


def read_learned(fields: Fields, settings: dict[str, Any]) -> Module:
    """Returns one layer whose first memory is among its params."""
    parts: dict[str, Fields] = {"cell": {}, "carry": {}}
    for field, array in fields.items():
        part, _, name = field.partition("/")
        parts[part][name] = array
    one = read(parts["cell"], settings)
    empty = one.cell.init_carry(one.layers[0])
    carry = {
        name: check_shape(f"carry/{name}", parts["carry"].get(name, np.zeros(0)), shape)
        for name, shape in jax.tree.map(jnp.shape, empty)._asdict().items()
    }
    params = LearnedCarryParams(one.layers[0], params_of(type(empty), **carry))
    return Module(learned_carry(one.cell), (params,), one.notes)


OWN: tuple[Layout, ...] = (
    layout(
        r"(?:cell|carry)/\w+",
        "cell/w_ih cell/w_hh cell/b carry/h",
        read=read_learned,
    ),
    layout(
        # All that is there: scales make it another cell.
        r"(?:\d+/)?(?:(?:forward|backward)/)?\w+",
        "w_ih w_hh b",
        "0/w_ih 0/w_hh 0/b",
        "forward/w_ih forward/w_hh forward/b",
        "0/forward/w_ih 0/forward/w_hh 0/forward/b",
        read=read,
    ),
)
