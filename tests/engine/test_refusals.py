"""What scan refuses: options, sequences, and steps that change their carry."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine.runs import BATCH, HIDDEN, Run, normal
from engine.steps import activated, weights, z_of

from lstm_jax.engine.scanning import scan, scan_report

# Bad input


def tanh_run():
    return Run(activated(jnp.tanh), weights(), normal(BATCH, HIDDEN), normal(7, 3, 4))


@pytest.mark.parametrize("under_jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"checkpoint_every": 0},
            "checkpoint_every: got 0; it must be None or in [1, 7]",
        ),
        (
            {"checkpoint_every": 8},
            "checkpoint_every: got 8; it must be None or in [1, 7]",
        ),
        ({"unroll": -1}, "unroll: got -1; it must be True, False or at least 0"),
        (
            {"implementation": "fast"},
            "implementation: got 'fast'; allowed: auto, plain",
        ),
    ],
)
def test_bad_options_are_refused(options, message, under_jit):
    run = tanh_run()
    call = partial(scan, run.step, **options)
    refused(call, run[1:], ValueError, message, under_jit)


@pytest.mark.parametrize("under_jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize(
    ("xs", "shapes"),
    [
        (np.float32(1), "[()]"),
        ((np.zeros((7, 3)), np.zeros((6, 3))), "[(7, 3), (6, 3)]"),
        ((np.zeros((7, 3)), np.zeros(())), "[(7, 3), ()]"),
    ],
)
def test_bad_sequences_are_refused(xs, shapes, under_jit):
    message = f"xs: leaves have shapes {shapes}; they must be (time, ...) with one time"
    run = tanh_run()._replace(xs=xs)
    refused(partial(scan, run.step), run[1:], ValueError, message, under_jit)
    refused(partial(scan_report, run.step), run[1:], ValueError, message, under_jit)


def changing(change):
    def step(p, h, x):
        h = jnp.tanh(z_of(p, h, x))
        return change(h), h

    return step


@pytest.mark.parametrize("under_jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("implementation", ["auto", "plain"])
@pytest.mark.parametrize(
    ("change", "leaves_as"),
    [
        (lambda h: h.astype(jnp.bfloat16), "bfloat16[3,5]"),
        (lambda h: h[:, :2], "float32[3,2]"),
        (lambda h: h[0], "float32[5]"),
        (lambda h: (h,), "('float32[3,5]',)"),
        (lambda h: None, "None"),
    ],
    ids=["dtype", "shape", "rank", "structure", "nothing"],
)
def test_a_step_that_changes_its_carry_is_refused(
    change, leaves_as, implementation, under_jit
):
    run = tanh_run()._replace(step=changing(change))
    message = f"carry: it enters the step as float32[3,5] and leaves it as {leaves_as};"
    call = partial(scan, run.step, implementation=implementation)
    refused(call, run[1:], TypeError, message, under_jit)


def refused(call, arguments, error, message, under_jit):
    """In one line that names the argument, what came and what is allowed."""
    with pytest.raises(error) as caught:
        (jax.jit(call) if under_jit else call)(*arguments)
    line = str(caught.value)
    assert line.startswith(message)
    assert "\n" not in line
