"""What unroll refuses, each in one line."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from masked_batch import BATCH, INPUT, LEAKY, TIME, make_setting

import lstm_jax as lj

LSTM_PARAMS, LSTM_CARRY, XS = make_setting(lj.LSTM)
WANTED = "'lstm' wants LSTMCarry(h='float32[3,4]', c='float32[3,4]')"

REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "integer xs": (
        {"xs": np.ones(XS.shape, np.int32)},
        TypeError,
        "xs: dtype is int32; it must be floating",
    ),
    "xs with one axis": (
        {"xs": np.ones(TIME, np.float32)},
        ValueError,
        "xs: shape is (5,); it must be (time, *batch, input) with time >= 1",
    ),
    "an empty sequence": (
        {"xs": np.ones((0, BATCH, INPUT), np.float32)},
        ValueError,
        "xs: shape is (0, 3, 2); it must be (time, *batch, input) with time >= 1",
    ),
    "inputs of another width": (
        {"xs": np.ones((TIME, BATCH, 7), np.float32)},
        ValueError,
        "x: the last axis is 7; these params were made with input_size=2",
    ),
    "a length beyond time": (
        {"lengths": np.array([1, 6, 2])},
        ValueError,
        "lengths: found 6; each must be in [0, 5], the time axis of xs",
    ),
    "a negative length": (
        {"lengths": np.array([1, -1, 2])},
        ValueError,
        "lengths: found -1; each must be in [0, 5], the time axis of xs",
    ),
    "floating lengths": (
        {"lengths": np.ones(BATCH, np.float32)},
        TypeError,
        "lengths: dtype is float32; it must be integer",
    ),
    "two lengths for three examples": (
        {"lengths": np.array([1, 2])},
        ValueError,
        "lengths: shape is (2,); it must be (3,), the batch axes of xs",
    ),
    "one length for all": (
        {"lengths": 3},
        ValueError,
        "lengths: shape is (); it must be (3,), the batch axes of xs",
    ),
    **{
        f"{name} of another dtype": (
            {name: np.ones((TIME, BATCH), dtype)},
            TypeError,
            f"{name}: dtype is {np.dtype(dtype)}; it must be bool",
        )
        for name, dtype in [("mask", np.float32), ("resets", np.int32)]
    },
    **{
        f"{name} with batch first": (
            {name: np.ones((BATCH, TIME), bool)},
            ValueError,
            f"{name}: shape is (3, 5); it must be (5, 3), (time, *batch) of xs",
        )
        for name in ("mask", "resets")
    },
    "a carry of another batch": (
        {"carry": jax.tree.map(lambda leaf: leaf[:2], LSTM_CARRY)},
        ValueError,
        "carry: leaf .h is float32[2,4]; 'lstm' wants float32[3,4] for these",
    ),
    "a carry of another structure": (
        {"carry": tuple(LSTM_CARRY)},
        ValueError,
        f"carry: it is ('float32[3,4]', 'float32[3,4]'); {WANTED}",
    ),
    "a carry of another cell": (
        {"carry": lj.RNNCarry(h=LSTM_CARRY.h)},
        ValueError,
        f"carry: it is RNNCarry(h='float32[3,4]'); {WANTED}",
    ),
    "a carry of another dtype": (
        {"carry": jax.tree.map(lambda a: a.astype(jnp.bfloat16), LSTM_CARRY)},
        ValueError,
        "carry: leaf .h is bfloat16[3,4]; 'lstm' wants float32[3,4] for these",
    ),
}


@pytest.mark.parametrize("unroll", [lj.unroll, lj.unroll_carries])
@pytest.mark.parametrize("case", REFUSED)
def test_unroll_refuses(case, unroll):
    changes, error, message = REFUSED[case]
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        unroll(lj.LSTM, LSTM_PARAMS, **({"xs": XS} | changes))


def test_doubles_with_weights_in_single_precision_are_refused(x64):
    doubles = np.ones((TIME, BATCH, INPUT))
    message = (
        r"carry: leaf \.h enters a step of 'lstm' as float32\[3,4\] and leaves it "
    )
    message += r"as float64\[3,4\]; the two must agree"
    with jax.numpy_dtype_promotion("standard"), pytest.raises(TypeError, match=message):
        lj.unroll(lj.LSTM, LSTM_PARAMS, doubles)


def test_params_are_held_to_a_named_tuple_and_to_no_other_annotation():
    """A step that says `tuple`, or `dict`, says nothing of whose weights it wants."""

    def of(annotation):
        def step(params, h, x):
            return h + params[0] * x, h

        step.__annotations__["params"] = annotation
        return dataclasses.replace(
            LEAKY, name="own", init_carry=lambda p, shape=(): jnp.zeros(1), step=step
        )

    xs, given = jnp.ones((3, 1)), [jnp.float32(2)]
    for annotation in (tuple, dict, "tuple", dict[str, int], None):
        _, hs = lj.unroll(of(annotation), given, xs)
        assert hs[:, 0].tolist() == [0, 2, 4]
    with pytest.raises(TypeError, match="params: got list; 'own' wants RNNParams"):
        lj.unroll(of(lj.RNNParams), given, xs)
