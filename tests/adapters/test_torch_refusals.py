"""What from_torch and to_torch refuse."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from adapters.torch_modules import HIDDEN, draw, state_dict

import lstm_jax as lj


def without(key, **options):
    return {k: v for k, v in state_dict(**options).items() if k != key}


def with_value(key, value, **options):
    return state_dict(**options) | {key: value}


REFUSED_STATE_DICTS = {
    "empty": (lambda: {}, r"weight_ih_l0 is missing; got no keys; allowed: "),
    "the shapes of a GRU in one layer only": (
        lambda: with_value("weight_hh_l1", torch.ones(9, 3), num_layers=2),
        r"weight_hh_l1 has shape \(9, 3\); it must be \(12, 3\) to fit",
    ),
    "neither": (
        lambda: with_value("weight_hh_l0", np.ones((5, 3), np.float32)),
        r"weight_hh_l0 has shape \(5, 3\); allowed: \(hidden, hidden\) of an RNN",
    ),
    "no units": (
        lambda: with_value("weight_hh_l0", np.ones((0, 0), np.float32)),
        r"weight_hh_l0 has shape \(0, 0\); allowed: ",
    ),
    "weight_hh is a vector": (
        lambda: with_value("weight_hh_l0", np.ones(3, np.float32)),
        r"weight_hh_l0 has shape \(3,\); allowed: ",
    ),
    "a projection in one layer only": (
        lambda: without("weight_hr_l1", proj_size=2, num_layers=2),
        r"weight_hr_l1 is missing",
    ),
    "a transposed projection": (
        lambda: with_value("weight_hr_l0", torch.ones(3, 2), proj_size=2),
        r"weight_ih_l0 has shape \(12, 3\); it must be \(8, 3\)",
    ),
    "prefix": (
        lambda: {f"lstm.{k}": v for k, v in state_dict().items()},
        r"unknown key 'lstm.weight_ih_l0' of shape \(12, 3\); allowed: .*no prefix",
    ),
    "one cell": (
        lambda: dict(torch.nn.LSTMCell(3, 2).state_dict()),
        r"unknown key 'weight_ih' of shape \(8, 3\); allowed: ",
    ),
    "leading zero": (
        lambda: with_value("weight_ih_l00", torch.ones(12, 3)),
        r"unknown key 'weight_ih_l00' of shape \(12, 3\)",
    ),
    "no weight_ih": (
        lambda: without("weight_ih_l0"),
        r"weight_ih_l0 is missing; got weight_hh_l0 \(12, 3\), .*; allowed: ",
    ),
    "no weight_hh": (
        lambda: without("weight_hh_l1", num_layers=2),
        r"weight_hh_l1 is missing; got .*weight_ih_l1 \(12, 3\)",
    ),
    "one bias of two": (
        lambda: without("bias_hh_l0"),
        r"bias_hh_l0 is missing; got .*bias_ih_l0 \(12,\)",
    ),
    "bias in one layer only": (
        lambda: with_value("bias_ih_l1", torch.ones(12), num_layers=2, bias=False),
        r"bias_ih_l0 is missing",
    ),
    "no middle layer": (
        lambda: {
            key: value
            for key, value in state_dict(num_layers=3).items()
            if "_l1" not in key
        },
        r"weight_ih_l1 is missing; got .*weight_ih_l2 \(12, 3\)",
    ),
    "a layer far away": (
        lambda: with_value("weight_ih_l999999999999", torch.ones(12, 3)),
        r"weight_ih_l1 is missing",
    ),
    "reverse in one layer only": (
        lambda: {
            key: value
            for key, value in state_dict(num_layers=2, bidirectional=True).items()
            if not key.endswith("l1_reverse")
        },
        r"weight_ih_l1_reverse is missing",
    ),
    "only reverse": (
        lambda: {f"{key}_reverse": value for key, value in state_dict().items()},
        r"weight_ih_l0 is missing",
    ),
    "another kind in layer 1": (
        lambda: with_value("weight_hh_l1", torch.ones(3, 3), num_layers=2),
        r"weight_hh_l1 has shape \(3, 3\); it must be \(12, 3\) to fit",
    ),
    "transposed weight_ih": (
        lambda: with_value("weight_ih_l0", torch.ones(2, 12)),
        r"weight_ih_l0 has shape \(2, 12\); it must be \(12, 12\) to fit",
    ),
    "weight_ih is a vector": (
        lambda: with_value("weight_ih_l0", torch.ones(12)),
        r"weight_ih_l0 has shape \(12,\); it must be \(12, 1\)",
    ),
    "no inputs": (
        lambda: with_value("weight_ih_l0", torch.ones(12, 0)),
        r"weight_ih_l0 has shape \(12, 0\); it must be \(12, 1\)",
    ),
    "directions with other inputs": (
        lambda: with_value(
            "weight_ih_l0_reverse", torch.ones(12, 2), bidirectional=True
        ),
        r"weight_ih_l0_reverse has shape \(12, 2\); it must be \(12, 3\)",
    ),
    "layer 1 reads one direction": (
        lambda: with_value(
            "weight_ih_l1", torch.ones(12, 3), bidirectional=True, num_layers=2
        ),
        r"weight_ih_l1 has shape \(12, 3\); it must be \(12, 6\)",
    ),
    "short bias": (
        lambda: with_value("bias_hh_l0", torch.ones(3)),
        r"bias_hh_l0 has shape \(3,\); it must be \(12,\)",
    ),
    "integers": (
        lambda: {key: value.int() for key, value in state_dict().items()},
        r"weight_ih_l0 is int32; allowed: float16, float32, float64",
    ),
    "not an array": (
        lambda: with_value("bias_ih_l0", None),
        r"bias_ih_l0 has shape \(\); it must be \(12,\)",
    ),
    "mixed dtypes": (
        lambda: with_value("bias_ih_l0", torch.ones(12).double()),
        r"bias_ih_l0 is float64; allowed: .*, the same for all weights",
    ),
    "bfloat16": (
        lambda: {key: value.bfloat16() for key, value in state_dict().items()},
        r"weight_ih_l0 is torch.bfloat16; allowed: float16, float32, float64",
    ),
}


@pytest.mark.parametrize("case", REFUSED_STATE_DICTS)
def test_from_torch_refuses(case):
    make, message = REFUSED_STATE_DICTS[case]
    with pytest.raises(ValueError, match=f"^state_dict: {message}") as refusal:
        lj.from_torch(make())
    assert "\n" not in str(refusal.value)


RNN, LSTM, GRU = draw("rnn"), draw("lstm"), draw("gru")
FOUR_GATE: Any = lj.FourGateParams(*(10 * [jnp.zeros(())]))

REFUSED_STRUCTURES: dict[str, Any] = {
    "FourGateParams": FOUR_GATE,
    "dict": {"weight_ih_l0": np.ones((3, 3))},
    "NoneType": None,
    "list": [LSTM, LSTM],
    "tuple()": (),
    "tuple(RNNParams, LSTMParams)": (RNN, LSTM),
    "tuple(LSTMParams, FourGateParams)": (LSTM, FOUR_GATE),
    "tuple(tuple(LSTMParams))": ((LSTM,),),
    "tuple(LSTMParams, Directions(LSTMParams, LSTMParams))": (
        LSTM,
        lj.adapters.Directions(LSTM, LSTM),
    ),
    "Directions(RNNParams, LSTMParams)": lj.adapters.Directions(RNN, LSTM),
    "tuple(GRUParams, LSTMParams)": (GRU, LSTM),
    "Directions(FourGateParams, FourGateParams)": lj.adapters.Directions(
        FOUR_GATE, FOUR_GATE
    ),
    "Directions(Directions(LSTMParams, LSTMParams), LSTMParams)": (
        lj.adapters.Directions(
            forward=cast(Any, lj.adapters.Directions(LSTM, LSTM)), backward=LSTM
        )
    ),
    "LSTMCarry": lj.LSTMCarry(h=LSTM.b, c=LSTM.b),
}


@pytest.mark.parametrize("came", REFUSED_STRUCTURES)
def test_to_torch_refuses_other_structures(came):
    with pytest.raises(TypeError) as refusal:
        lj.to_torch(REFUSED_STRUCTURES[came])
    assert str(refusal.value) == (
        f"params: got {came}; allowed: RNNParams, LSTMParams, GRUParams or "
        "ProjectionLSTMParams, Directions of two alike, or a tuple of such layers, all "
        "alike"
    )


REFUSED_PARAMS: dict[str, Any] = {
    "an LSTM in the shapes of an RNN": (
        lj.LSTMParams(*RNN),
        r"weight_ih_l0 has shape \(3, 3\); it must be \(12, 3\) to fit",
    ),
    "layers that do not stack": (
        (LSTM, draw("lstm", input_size=HIDDEN + 1)),
        r"weight_ih_l1 has shape \(12, 4\); it must be \(12, 3\) to fit",
    ),
    "stacked seeds": (
        jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), RNN),
        r"weight_ih_l0 has shape \(3, 3, 2\); it must be \(3, 3\) to fit",
    ),
    "a missing weight": (
        RNN._replace(b=None),
        r"bias_ih_l0 has shape \(\); it must be \(3,\) to fit",
    ),
    "a GRU without b_hn": (
        GRU._replace(b_hn=None),
        r"bias_hh_l0 has shape \(3,\); it must be \(9,\) to fit",
    ),
    "a b_hn of two axes": (
        GRU._replace(b_hn=jnp.ones((1, 3))),
        r"bias_hh_l0 has shape \(1, 9\); it must be \(9,\) to fit",
    ),
    "bfloat16": (
        jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), RNN),
        r"weight_ih_l0 is bfloat16; allowed: float16, float32, float64",
    ),
}


@pytest.mark.parametrize("case", REFUSED_PARAMS)
def test_to_torch_refuses_weights_that_no_module_has(case):
    params, message = REFUSED_PARAMS[case]
    with pytest.raises(ValueError, match=f"^params: {message}") as refusal:
        lj.to_torch(params)
    assert "\n" not in str(refusal.value)
