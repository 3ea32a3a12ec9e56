"""Calls that can't be, each with the one line that it must end in.

Run as a script, in a process without the tests' type checker, which would speak first:
it prints, as JSON, the type and the message of what each call raised. `test_bad_calls`
compares.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstm_jax
from lstm_jax.tasks import losses
from lstm_jax.training import loop

lj: Any = lstm_jax  # for a type checker: these calls are meant to be wrong
KEY = jax.random.key(0)
TIME, BATCH, INPUT = 5, 4, 2


class Bad(NamedTuple):
    """A call, and how the line begins that it ends in."""

    call: Callable[[], Any]
    error: type[Exception]
    line: str


# ---------------------------------------------------------------------------
# Tasks: their fields, and the batches that they draw
# ---------------------------------------------------------------------------


def batch_of(time, batch, **changes):
    return lj.Batch(
        inputs=jnp.zeros((time, batch, INPUT)),
        targets=jnp.zeros((batch,), jnp.int32),
        weights=jnp.ones((batch,)),
        lengths=jnp.full((batch,), time, jnp.int32),
    )._replace(**{name: make(time, batch) for name, make in changes.items()})


def drawing(**changes):
    """A task whose batches are right but for these fields."""
    return task_of(sample=lambda key, batch, time, length=None: batch_of(
        time, batch, **changes))  # fmt: skip


def every_step(**changes):
    """The same, of a task that asks at every step."""
    changes = {
        "targets": lambda time, batch: jnp.zeros((time, batch), jnp.int32),
        "weights": lambda time, batch: jnp.ones((time, batch)),
    } | changes
    return drawing(**changes)


def task_of(**changes):
    fields: dict[str, Any] = dict(
        name="mine",
        input_size=INPUT,
        output_size=3,
        answers="last_step",
        sample=lambda key, batch, time, length=None: batch_of(time, batch),
        loss=losses.cross_entropy,
        accuracy=losses.accuracy,
        floor=lambda length: 0.0,
    )
    fields |= changes
    return lj.Task(**{"sample_test": fields["sample"]} | fields)


def trained(task, **changes):
    options: dict[str, Any] = {"hidden_size": 3, "num_steps": 2, "batch_size": BATCH}
    options |= {"length": TIME} | changes
    return lj.train(KEY, lj.RNN, task, optax.sgd(0.1), **options)


def asking(task):
    return task_of(sample=task.sample, answers="every_step")


MINE = "(batch,) in 'mine', answers='last_step'"
TASKS = {
    "answers": Bad(lambda: task_of(answers="every step"), ValueError,
                   "answers: got 'every step'; allowed: last_step, every_step"),
    "no accuracy": Bad(lambda: task_of(accuracy=None), TypeError, 
                       "accuracy: got None; it must be a function (outputs, batch)"),
    "a number for a loss": Bad(lambda: task_of(loss=0.5), TypeError, 
                               "loss: got 0.5; it must be a function (outputs, batch)"),
    "a float size": Bad(lambda: task_of(input_size=2.0), TypeError,
                        "input_size: got 2.0; it must be a whole number, at least 1"),
    "no output": Bad(lambda: task_of(output_size=0), ValueError,
                     "output_size: got 0; it must be at least 1"),
    "no name": Bad(lambda: task_of(name=None), TypeError,
                   "name: got None; it must be a string"),
    "batch first": Bad(
        lambda: trained(drawing(inputs=lambda t, b: jnp.zeros((b, t, 2)))),
        ValueError, "inputs: shape is (4, 5, 2); it must be (5, 4, 2), "
        "(time, batch, input_size) of 'mine'"),
    "batch first, as many sequences as steps": Bad(
        lambda: trained(drawing(inputs=lambda t, b: jnp.zeros((b, t, 2))),
                        batch_size=5),
        ValueError, "inputs: shape is (1, 5, 2); it must be (5, 1, 2), "
        "(time, batch, input_size) of 'mine'"),
    "batch-first answers": Bad(
        lambda: trained(asking(every_step(
            weights=lambda t, b: jnp.ones((b, t))))),
        ValueError, "weights: shape is (4, 5); it must be (5, 4), (time, batch) in "
        "'mine', answers='every_step'"),
    "answers at the last step only": Bad(
        lambda: trained(asking(drawing())),
        ValueError, "weights: shape is (4,); it must be (5, 4), (time, batch) in "
        "'mine', answers='every_step'"),
    "targets of fewer sequences": Bad(
        lambda: trained(drawing(targets=lambda *_: jnp.zeros((3,), jnp.int32))),
        ValueError, f"targets: shape is (3,); it must begin with (4,), {MINE}"),
    "another width": Bad(
        lambda: trained(drawing(inputs=lambda t, b: jnp.zeros((t, b, 3)))),
        ValueError, "inputs: shape is (5, 4, 3); it must be (5, 4, 2), "),
    "complex inputs": Bad(
        lambda: trained(drawing(inputs=lambda *s: jnp.zeros((*s, 2), jnp.complex64))),
        TypeError, "inputs: dtype is complex64; it must be real, "),
    "one length for all": Bad(
        lambda: trained(drawing(lengths=lambda t, b: jnp.int32(t))),
        ValueError, f"lengths: shape is (); it must be (4,), {MINE}"),
    "float lengths": Bad(
        lambda: trained(drawing(lengths=lambda t, b: jnp.full(b, 5.0))),
        TypeError, "lengths: dtype is float32; it must be integer, "),
    "lists": Bad(
        lambda: trained(drawing(lengths=lambda t, b: [t] * b)),
        TypeError, "lengths: got list; it must be an array (batch,) "),
    "a tuple for a batch": Bad(
        lambda: trained(task_of(sample=lambda key, b, t: tuple(batch_of(t, b)))),
        TypeError, "sample: got tuple; it must be an lj.Batch, what 'mine' must"),
    "lengths beyond the arrays": Bad(
        lambda: trained(drawing(lengths=lambda t, b: jnp.full(b, t + 1))),
        ValueError, "lengths: found 6; each must be in [0, 5], the time axis of"),
    "lengths beyond the arrays, under jit": Bad(
        lambda: jax.jit(lambda: trained(
            drawing(lengths=lambda t, b: jnp.full(b, t + 1)))[1])(),
        ValueError, "lengths: found 6; each must be in [0, 5], "),
    "lengths beyond the arrays, under vmap": Bad(
        lambda: jax.vmap(lambda key: loop.train(
            key, lj.RNN, drawing(lengths=lambda t, b: jnp.full(b, -2)),
            optax.sgd(0.1), hidden_size=3, num_steps=1, batch_size=4, length=5,
        )[1])(jax.random.split(KEY, 2)),
        ValueError, "lengths: found -2; each must be in [0, 5], "),
    "lengths beyond the arrays, in evaluation": Bad(
        lambda: lj.evaluate(
            KEY, lj.RNN, drawing(lengths=lambda t, b: jnp.full(b, 99)),
            loop.init_model(KEY, lj.RNN, 2, 3, hidden_size=3), batch_size=4, length=5),
        ValueError, "lengths: found 99; each must be in [0, 5], "),
    "lengths beyond the arrays, of many runs": Bad(
        lambda: lj.train_many(
            jax.random.split(KEY, 2), lj.RNN,
            drawing(lengths=lambda t, b: jnp.full(b, 99)), optax.sgd,
            hyperparams={"learning_rate": 0.1}, hidden_size=3, num_steps=1,
            batch_size=4, length=5),
        ValueError, "lengths: found 99; each must be in [0, 5], "),
    "a negative weight": Bad(
        lambda: trained(drawing(weights=lambda t, b: -jnp.ones(b))),
        ValueError, "weights: found -1; each must be finite and at least 0, in 'mine'"),
    "a weight that is NaN": Bad(
        lambda: trained(drawing(weights=lambda t, b: jnp.full(b, np.nan))),
        ValueError, "weights: found nan; each must be finite and at least 0"),
    "answers in the padding": Bad(
        lambda: trained(asking(every_step(
            lengths=lambda t, b: jnp.full(b, t - 1)))),
        ValueError, "weights: found 1 at or beyond the length of a sequence; it must"),
    "an answer to no step": Bad(
        lambda: trained(drawing(lengths=lambda t, b: jnp.arange(b))),
        ValueError, "weights: found 1 at or beyond the length of a sequence; "),
    "a loss that is a number of Python": Bad(
        lambda: trained(task_of(loss=lambda outputs, batch: 0.5)),
        TypeError, "loss: got 0.5; it must be one real number of jax, in 'mine'"),
    "a loss per sequence": Bad(
        lambda: trained(task_of(loss=lambda outputs, batch: outputs[:, 0])),
        ValueError, "loss: got float32[4]; it must be one real number, in 'mine'"),
    "an accuracy per sequence": Bad(
        lambda: trained(task_of(accuracy=losses.argmax_right)),
        ValueError, "accuracy: got bool[4]; it must be one real number, in 'mine'"),
    "an accuracy that is None": Bad(
        lambda: trained(task_of(accuracy=lambda outputs, batch: None)),
        TypeError, "accuracy: got None; it must be one real number, in 'mine'"),
    "one criterion for all": Bad(
        lambda: trained(task_of(correct=losses.accuracy), stop_after=3),
        ValueError, "correct: got float32[]; it must be bool[4], one for each"),
    "a task by name": Bad(lambda: trained("adding"), TypeError,
                          "task: got 'adding'; it must be an lj.Task, such as "),
}  # fmt: skip

# ---------------------------------------------------------------------------
# Arguments, by their kind
# ---------------------------------------------------------------------------

PARAMS, RNN_PARAMS = lj.LSTM.init(KEY, 2, 3), lj.RNN.init(KEY, 2, 3)
FOUR_GATE_PARAMS = lj.FOUR_GATE.init(KEY, 2, 3)
XS = jnp.ones((TIME, BATCH, INPUT))
CARRY = lj.LSTM.init_carry(PARAMS, (BATCH,))
CURVES = lj.LSTMCarry(h=-jnp.ones((TIME, BATCH)), c=-jnp.ones((TIME, BATCH)))
CURVE = CURVES.c
JACOBIANS = jnp.ones((TIME, 3, 3))
ADDING = lj.TASKS["adding"]
KEYS = jax.random.split(KEY, 2)


def last(ys):
    return ys[-1].sum()


def measured(measure, *args, **options):
    return lambda: measure(lj.RNN, RNN_PARAMS, XS, *args, **options)


def adding(**changes):
    arguments: dict[str, Any] = {"cell": lj.RNN, "optimizer": optax.sgd(0.1)}
    arguments |= {"hidden_size": 3, "num_steps": 1, "batch_size": 2, "length": 6}
    arguments |= {"key": KEY, "task": ADDING} | changes
    return lambda: lj.train(**arguments)


def many(**changes):
    arguments: dict[str, Any] = {"cell": lj.RNN, "optimizer_of": optax.sgd}
    arguments |= {"hidden_size": 3, "num_steps": 1, "batch_size": 2, "length": 6}
    arguments |= {"hyperparams": {"learning_rate": 0.1}, "keys": KEYS, "task": ADDING}
    arguments |= changes
    return lambda: lj.train_many(**arguments)


def initialised(cell, **changes):
    arguments = {"key": KEY, "input_size": 2, "hidden_size": 3} | changes
    return lambda: cell.init(**arguments)


A_CELL = "it must be an lj.Cell, such as lj.LSTM or lj.CELLS['lstm'], or what"
A_CURVE = "it must be an array (time, *batch): one leaf of a carry, or joint_log_norms"
AN_INIT = "it must be a function (key, shape, dtype) -> array"
A_KEY = "it must be one key, as jax.random.key(0)"
WHOLE = "it must be a whole number, "

CELLS = {
    "unroll by name": (lambda: lj.unroll("lstm", PARAMS, XS),
                       f"cell: got 'lstm'; {A_CELL}"),
    "params first": (lambda: lj.unroll(PARAMS, lj.LSTM, XS),
                     f"cell: got LSTMParams; {A_CELL}"),
    "the module of flax": (lambda: lj.unroll(lj.Cell, PARAMS, XS),
                           f"cell: got the class Cell; {A_CELL}"),
    "carries": (lambda: lj.unroll_carries("rnn", RNN_PARAMS, XS), "cell: got 'rnn'"),
    "truncated": (lambda: lj.unroll_truncated(3, RNN_PARAMS, XS, window=2),
                  "cell: got 3; "),
    "curves": (lambda: lj.log_gradient_norms("rnn", RNN_PARAMS, XS, last),
               "cell: got 'rnn'; "),
    "jacobians": (lambda: lj.step_jacobians(None, RNN_PARAMS, XS), "cell: got None; "),
    "omega": (lambda: lj.gradients.omega("rnn", RNN_PARAMS, XS, last), "cell: got 'rnn'; "),
    "paths": (lambda: lj.gradients.path_shares("lstm", PARAMS, XS, last), "cell: got 'lstm'; "),
    "paths of a list": (lambda: lj.gradients.path_shares([lj.LSTM], PARAMS, XS, last),
                        "cell: got list; "),
    "path jacobians": (lambda: lj.gradients.path_jacobians("lstm", PARAMS, XS),
                       "cell: got 'lstm'; "),
    "path names": (lambda: lj.gradients.path_names(None, PARAMS, XS[0]), "cell: got None; "),
    "trace": (lambda: lj.trace(lj.LSTM.step, PARAMS, XS), "cell: got "),
    "contributions": (lambda: lj.gradients.weight_contributions(3, PARAMS, XS, last),
                      "cell: got 3; "),
    "train": (adding(cell="lstm"), f"cell: got 'lstm'; {A_CELL}"),
    "train many": (many(cell=lj.rnn), "cell: got function; "),
    "evaluate": (lambda: lj.evaluate(KEY, "rnn", ADDING, RNN_PARAMS, batch_size=2,
                                     length=6), "cell: got 'rnn'; "),
    "stack": (lambda: lj.stack(lj.LSTM, 3), f"cells: got 3; {A_CELL}"),
    "stack of a list": (lambda: lj.stack([lj.LSTM]), "cells: got list; "),
    "zoneout": (lambda: lj.zoneout("lstm", 0.1), "cell: got 'lstm'; "),
    "dropout": (lambda: lj.cells.variational_dropout(None), "cell: got None; "),
    "residual": (lambda: lj.residual(3), "cell: got 3; "),
    "mixed": (lambda: lj.mixed("lstm"), "cell: got 'lstm'; "),
    "learned carry": (lambda: lj.learned_carry(lj.rnn), "cell: got function; "),
    "one for both directions": (lambda: lj.unroll_bidirectional(lj.LSTM, PARAMS, XS),
                                "cells: got Cell; it must be a pair, the forward"),
    "params of one": (lambda: lj.unroll_bidirectional((lj.LSTM,) * 2, PARAMS, XS),
                      "params: got LSTMParams; it must be a pair, the forward"),
    "a carry of one": (
        lambda: lj.unroll_bidirectional((lj.LSTM,) * 2, (PARAMS,) * 2, XS, CARRY),
        "carry: got LSTMCarry; it must be a pair, the forward"),
    "params of a dictionary": (
        lambda: lj.unroll_bidirectional((lj.LSTM,) * 2, {"a": 1, "b": 2}, XS),
        "params: got dict; it must be a pair"),
    "a cell without a step": (
        lambda: lj.Cell(name="mine", init=len, init_carry=len, step=None),
        "step: got None; it must be a function (params, carry, x) -> (carry, y)"),
    "a cell without a name": (
        lambda: lj.Cell(name=3, init=len, init_carry=len, step=len),
        "name: got 3; it must be a string"),
    "the fields of a carry": (lambda: lj.lstm_gates(PARAMS, CARRY, XS[0]),
                              "h: got LSTMCarry; it must be an array (*batch, hidden)"),
    "no input": (lambda: lj.lstm_gates(PARAMS, CARRY.h, None),
                 "x: got None; it must be an array (*batch, input)"),
    "the gates of a carry": (
        lambda: lj.learn_gate(FOUR_GATE_PARAMS, CARRY, XS[0]),
        "stm: got LSTMCarry; it must be an array (*batch, hidden)"),
    "clipped params of another": (lambda: lj.cells.clip_indrnn(PARAMS, 2.0),
                                  "params: got LSTMParams; it must be IndRNNParams"),
}  # fmt: skip

WHOLE_NUMBERS = {
    "no float": (adding(hidden_size=2.0), f"hidden_size: got 2.0; {WHOLE}at least 1"),
    "no text": (adding(length="6"), f"length: got '6'; {WHOLE}at least 1"),
    "no truth": (adding(num_steps=True), f"num_steps: got True; {WHOLE}at least 0"),
    "no list": (adding(hidden_size=[[1], [2, 3]]), f"hidden_size: got list; {WHOLE}"),
    "none": (adding(batch_size=None), f"batch_size: got None; {WHOLE}at least 1"),
    "a size": (initialised(lj.GRU, input_size=XS), f"input_size: got float32[5, 4, 2]; "
               f"{WHOLE}at least 1"),
    "window": (lambda: lj.unroll_truncated(lj.RNN, RNN_PARAMS, XS, window=2.5),
               f"window: got 2.5; {WHOLE}at least 1"),
    "scan_unroll": (lambda: lj.unroll(lj.RNN, RNN_PARAMS, XS, scan_unroll="2"),
                    f"scan_unroll: got '2'; {WHOLE}at least 1"),
    "checkpoint_every": (
        lambda: lj.unroll(lj.RNN, RNN_PARAMS, XS, checkpoint_every=2.5),
        f"checkpoint_every: got 2.5; {WHOLE}at least 1"),
    "products": (lambda: lj.gradients.jacobian_products(JACOBIANS, 2.5),
                 f"window: got 2.5; {WHOLE}in [1, 5], the time axis of jacobians"),
    "values": (measured(lj.gradients.product_singular_values, num_values=2.5),
               f"num_values: got 2.5; {WHOLE}in [1, 3], the numbers in the state"),
    "exponents": (measured(lj.lyapunov_exponents, 1.5), "num_exponents: got 1.5; "),
    "probes": (measured(lj.gradients.influence, num_probes="3"), "num_probes: got '3'; "),
    "powers": (lambda: lj.theory.transient_growth(np.eye(2), 2.5), "max_power: got 2.5; "),
    "radii": (lambda: lj.theory.kreiss_bound(np.eye(2), num_radii=2.5), "num_radii: got 2.5;"),
    "records": (lambda: lj.gradients.recorder(lj.RNN, XS, last, every=1, capacity=2.5),
                "capacity: got 2.5; "),
    "stop_after": (adding(stop_after=2.5), f"stop_after: got 2.5; {WHOLE}at least 1"),
    "curriculum": (lambda: lj.training.growing_length(2.5, 7, 5), "first: got 2.5; "),
    "block_size": (lambda: lj.cells.lstm97(2.0), f"block_size: got 2.0; {WHOLE}at least 1"),
    "p": (lambda: lj.tasks.long_time_lag_2a(2.5), f"p: got 2.5; {WHOLE}at least 2"),
    "distractors": (lambda: lj.tasks.long_time_lag_2c("5"), "num_distractors: got '5'; "),
    "items": (lambda: lj.tasks.copy_memory(2.5), "num_symbols: got 2.5; "),
    "delay": (lambda: lj.tasks.delayed_xor("10"), f"delay: got '10'; {WHOLE}at least 2"),
    "informative": (lambda: lj.tasks.two_sequence("3a", 2.5), "num_informative: got 2.5; "),
    "permutation": (lambda: lj.tasks.permuted_digits(1.5), "permutation_seed: got 1.5; "),
    "a batch": (lambda: ADDING.sample(KEY, 2.5, 6), f"batch_size: got 2.5; {WHOLE}at"),
    "steps": (lambda: ADDING.sample(KEY, 2, None), f"max_length: got None; {WHOLE}at"),
    "a length": (lambda: ADDING.sample(KEY, 2, 6, "6"), f"length: got '6'; {WHOLE}in "
                 "[2, 6]"),
    "units of biases": (lambda: lj.initializers.chrono_biases(KEY, 2.5, 10), "hidden_size: got 2.5"),
    "outputs": (lambda: lj.readouts.init_linear(KEY, 3, 2.5), "output_size: got 2.5; "),
}  # fmt: skip

OUT_OF_RANGE = {
    "num_steps": (adding(num_steps=-1), "num_steps: got -1; it must be at least 0"),
    "beyond max_length": (adding(length=9, max_length=6),
                          "length: got 9; it must be in [1, 6]"),
    "NaN for a bias": (initialised(lj.LSTM, forget_bias=float("nan")),
                       "forget_bias: got nan; it must be finite"),
    "inf among biases": (initialised(lj.LSTM, input_bias=jnp.array([0, np.inf, 1])),
                         "input_bias: got an array with inf; it must be finite"),
    "gain": (initialised(lj.RNN, gain=float("inf")), "gain: got inf; it must be finit"),
    "rate": (lambda: lj.zoneout(lj.LSTM, float("nan")),
             "rate: got nan; it must be in [0, 1)"),
    "dropout": (lambda: lj.cells.variational_dropout(lj.LSTM, input_rate=1.5),
                "input_rate: got 1.5; it must be in [0, 1)"),
    "fraction": (lambda: lj.horizon(CURVE, 2), "fraction: got 2; it must be in (0, 1)"),
    "window": (lambda: lj.gradients.effective_window(CURVE, 1),
               "fraction: got 1; it must be in (0, 1"),
    "tolerance": (measured(lj.gradients.product_singular_values, tolerance=0),
                  "tolerance: got 0; it must be above 0"),
    "factors": (lambda: lj.gradients.time_constants(jnp.array([0.5, 2])),
                "factors: got an array with 2; it must be in [0, 1]"),
    "lag": (lambda: lj.initializers.chrono_biases(KEY, 3, 1), "max_lag: got 1; it must be at least"),
    "units": (lambda: lj.initializers.chrono_biases(KEY, -3, 9), "hidden_size: got -3; it must be"),
    "density": (lambda: lj.initializers.sparse(density=2),
                "density: got 2; it must be in (0, 1]"),
    "gamma": (lambda: lj.cells.antisymmetric_rnn(gamma=float("nan")),
              "gamma: got nan; it must be at least 0"),
    "epsilon": (lambda: lj.cells.layer_norm_lstm(0), "epsilon: got 0; it must be above 0"),
    "confidence": (lambda: lj.training.success_rate(3, 5, 95),
                   "confidence: got 95; it must be in (0, 1)"),
    "goldfish": (lambda: lj.tasks.nature_show(goldfish_rate=2),
                 "goldfish_rate: got 2; it must be in [0, 1]"),
    "batch of a signal": (
        measured(lj.gradients.first_step_signal, lambda ys, t: ys[-1].sum(), jnp.zeros(4), 0),
        "batch_size: got 0; it must be at least 1"),
    "targets of a signal": (
        measured(lj.gradients.first_step_signal, lambda ys, t: ys[-1].sum(), jnp.zeros(3), 4),
        "targets: shape is (3,); it must begin with 4, the examples of xs"),
    "jacobians": (lambda: lj.gradients.jacobian_products(jnp.ones((3, 3)), 2),
                  "jacobians: shape is (3, 3); it must be (time, *batch, n, n)"),
    "oblong jacobians": (lambda: lj.gradients.jacobian_products(jnp.ones((3, 3, 2)), 2),
                  "jacobians: shape is (3, 3, 2); it must be (time, *batch, n, n)"),
    "lengths": (lambda: lj.gradients.by_lag(CURVES, jnp.array([5, 4])),
                "lengths: shape is (2,); it must be (4,), "),
    "lengths of outputs": (lambda: lj.last_step(XS, jnp.array([5, 5])),
                           "lengths: shape is (2,); it must be (4,), the batch axes"),
    "three directions": (
        lambda: lj.unroll_bidirectional((lj.LSTM,) * 3, (PARAMS,) * 3, XS),
        "cells: got 3 entries; it must be a pair, the forward"),
    "an activation": (lambda: lj.rnn("Tanh"), "activation: got 'Tanh'; allowed: tanh,"),
    "a function for an activation": (lambda: lj.rnn(jnp.tanh), "activation: got "),
    "a rendering": (lambda: lj.tasks.nature_show("pixels"),
                    "rendering: got 'pixels'; allowed: digits, vectors"),
    "scoring": (lambda: lj.tasks.temporal_order(2, None), "units: got None; allowed: softma"),
    **{
        f"scoring of {make.__name__}": (
            partial(make, units=["softmax"]), "units: got list; allowed: softmax, ")
        for make in (lj.tasks.temporal_order, lj.tasks.long_time_lag_2a, lj.tasks.long_time_lag_2b,
                     lj.tasks.long_time_lag_2c, lj.tasks.embedded_reber,
                     lj.tasks.continual_embedded_reber)
    },
    "a variant": (lambda: lj.tasks.two_sequence(3), "variant: got 3; allowed: 3a, 3b, 3c"),
    "a span of keys": (lambda: lj.with_keys(KEY, XS, "epoch"),
                       "per: got 'epoch'; allowed: step, sequence"),
    "the radius of no square": (lambda: lj.theory.spectral_radius_rate(np.ones((2, 3))),
                                "w_hh: shape is (2, 3); it must be (*batch, hidden, "),
}  # fmt: skip

KINDS = {
    "a task": (adding(task="adding"), "task: got 'adding'; it must be an lj.Task, suc"),
    "a rate for an optimiser": (
        adding(optimizer=1e-3),
        "optimizer: got 0.001; it must be an optax transformation, such as optax.adam"),
    "a function for an optimiser": (adding(optimizer=optax.adam),
                                    "optimizer: got function; it must be an optax"),
    "an optimiser for a function": (
        many(optimizer_of=optax.sgd(0.1)),
        "optimizer_of: got GradientTransformationExtraArgs; it must be a function"),
    "settings": (many(hyperparams=0.1), "hyperparams: got 0.1; it must be a mapping"),
    "options": (adding(init_options=["gain"]), "init_options: got list; it must be a"),
    "an unknown option": (adding(init_options={"forget": 1}),
                          "init_options: got 'forget'; 'rnn' takes gain, input_init, "),
    "a seed for a key": (adding(key=0), f"key: got 0; {A_KEY}"),
    "keys for a key": (adding(key=KEYS), f"key: got key<fry>[2]; {A_KEY}"),
    "a seed for keys": (many(keys=3), "keys: got 3; it must be an array of one key"),
    "a seed for weights": (initialised(lj.cells.MGU, key=0), f"key: got 0; {A_KEY}"),
    "a seed for a batch": (lambda: ADDING.sample(0, 2, 6), f"key: got 0; {A_KEY}"),
    "a seed for noise": (lambda: lj.with_keys(0, XS), f"key: got 0; {A_KEY}"),
    "params without a readout": (
        lambda: lj.evaluate(KEY, lj.RNN, ADDING, RNN_PARAMS, batch_size=2, length=6),
        "params: got RNNParams; it must be ModelParams, of a cell and its readout"),
    "text for a bias": (initialised(lj.LSTM, forget_bias="3"),
                        "forget_bias: got '3'; it must be a number, finite"),
    "lists for a bias": (initialised(lj.LSTM, forget_bias=[[1], [2, 3]]),
                         "forget_bias: got list; it must be a number, finite"),
    "no bias": (initialised(lj.cells.JANET, forget_bias=None),
                "forget_bias: got None; it must be a number, finite"),
    "text for a gain": (initialised(lj.RNN, gain="1"),
                        "gain: got '1'; it must be a number, finite"),
    "a dtype of integers": (initialised(lj.LSTM, dtype=jnp.int32),
                            "dtype: got the class int32; it must be a floating dtype"),
    "a dtype that is none": (initialised(lj.LSTM, dtype="flaot32"),
                             "dtype: got 'flaot32'; it must be a floating dtype"),
    "a dtype to compute in": (lambda: lj.mixed(lj.LSTM, "bfloat"),
                              "compute_dtype: got 'bfloat'; it must be a floating"),
    "a dtype to round in": (lambda: lj.gradients.rounding_lag(CURVE, jnp.int32),
                            "dtype: got the class int32; it must be a floating dtype"),
    "a dtype to underflow in": (lambda: lj.gradients.underflow_lag(CURVE, "hafl"),
                                "dtype: got 'hafl'; it must be a floating dtype"),
    **{
        f"initialiser of {name}": (initialised(lj.CELLS[name], recurrent_init="ortho"),
                                   f"recurrent_init: got 'ortho'; {AN_INIT}")
        for name in ("rnn", "lstm", "four_gate", "lstm97", "lesson_peephole_lstm",
                     "projection_lstm", "gru", "minimal_rnn")
    },
    "initialiser of one that has no other": (initialised(lj.cells.INDRNN, input_init=None),
                                             f"input_init: got None; {AN_INIT}"),
    "initialiser of a readout": (lambda: lj.readouts.init_linear(KEY, 3, 2, init="x"),
                                 f"init: got 'x'; {AN_INIT}"),
    "a carry of curves": (lambda: lj.decay_rate(CURVES),
                          f"log_norms: got LSTMCarry; {A_CURVE}"),
    **{
        f"{read.__name__} of a carry": (partial(read, CURVES, *rest),
                                        f"log_norms: got LSTMCarry; {A_CURVE}")
        for read, *rest in ((lj.fit_decay,), (lj.horizon, 0.5), (lj.log_shares,),
                            (lj.gradients.rounding_lag, "float32"),
                            (lj.gradients.underflow_lag, "float32"))
    },
    "window of a carry": (lambda: lj.gradients.effective_window(CURVES),
                         f"log_contributions: got LSTMCarry; {A_CURVE}"),
    "a list of numbers": (lambda: lj.decay_rate([-1.0, -2.0]), "log_norms: got list; "),
    "integers": (lambda: lj.decay_rate(jnp.arange(3)), "log_norms: got int32[3]; "),
    "no norms": (lambda: lj.joint_log_norms(None), "log_norms: got None; it must be"),
    "a fraction": (lambda: lj.horizon(CURVE, "0.5"), "fraction: got '0.5'; it must be"),
    "no rate": (lambda: lj.half_life(None), "rate: got None; it must be a number, or"),
    "rates of a carry": (lambda: lj.half_life(CURVES), "rate: got LSTMCarry; it must"),
    "a spectrum": (lambda: lj.gradients.log_condition_number(lj.gradients.ProductSpectrum(1, 2, 3, 4)),
                   "log_singular_values: got ProductSpectrum; it must be an array"),
    "exponents": (lambda: lj.gradients.kaplan_yorke_dimension([1.0, -1.0]),
                  "exponents: got list; it must be an array (*batch, n)"),
    "entropy": (lambda: lj.gradients.entropy_rate("x"), "exponents: got 'x'; it must be an arra"),
    "factors": (lambda: lj.gradients.time_constants("x"), "factors: got 'x'; it must be an arra"),
    "a matrix": (lambda: lj.theory.transient_growth("x", 2), "matrix: got 'x'; it must be an"),
    "a loss": (measured(lj.log_gradient_norms, 3.0),
               "loss_fn: got 3.0; it must be a function ys -> one real number"),
    "no inputs": (lambda: lj.unroll(lj.RNN, RNN_PARAMS, None),
                  "xs: got None; it must be an array"),
    "ragged inputs": (lambda: lj.unroll(lj.RNN, RNN_PARAMS, [[1, 2], [3]]),
                      "xs: got list; it must be an array"),
    "text for lengths": (lambda: lj.unroll(lj.RNN, RNN_PARAMS, XS, lengths="5"),
                         "lengths: got '5'; it must be an array"),
    "a word for a flag": (lambda: lj.unroll(lj.RNN, RNN_PARAMS, XS, reverse="yes"),
                          "reverse: got 'yes'; it must be True or False"),
    "a number for a flag": (lambda: lj.cells.lstm97(truncated=1), "truncated: got 1; it mus"),
    "a module for its weights": (
        lambda: lj.from_torch(NoModule()),
        "state_dict: got NoModule; it must be a mapping, as module.state_dict()"),
    "a path for weights": (lambda: lj.from_torch("weights.pt"),
                           "state_dict: got 'weights.pt'; it must be a mapping"),
    "linen by name": (lambda: lj.from_linen("LSTMCell"), "module: got 'LSTMCell'; it "),
    "nnx of nothing": (lambda: lj.from_nnx(None), "module: got None; it must be an RN"),
    "equinox of nothing": (lambda: lj.from_equinox(None), "module: got None; it must"),
    "haiku of no function": (lambda: lj.from_haiku(3), "make: got 3; it must be a fun"),
    "haiku of no core": (lambda: lj.from_haiku(lambda: 3), "make: got 3; it must be a"),
    "no step": (lambda: lj.from_function(None, len), "step: got None; it must be a fu"),
    "no carry": (lambda: lj.from_function(len, "zeros"), "init_carry: got 'zeros'; it"),
    "bytes for text": (lambda: lj.tasks.character_language(b"abc"), "text: got bytes; it mu"),
    "text for a share": (lambda: lj.tasks.character_language("abcabcabc", "0.1"),
                         "held_out: got '0.1'; it must be a number, in (0, 1)"),
    "text for a rate": (lambda: lj.zoneout(lj.LSTM, "0.1"),
                        "rate: got '0.1'; it must be a number, in [0, 1)"),
    "text for a count": (lambda: lj.training.success_rate("3", 5), "successes: got '3'; it mus"),
    "text in a theory": (lambda: lj.theory.carousel_rate("x"),
                         "forget_bias: got 'x'; it must be "),
}  # fmt: skip

NAMES = {
    "a cell": (lambda: lj.CELLS["LSTM"], "cell: got 'LSTM'; allowed: rnn, lstm, "),
    "a task": (lambda: lj.TASKS["add"], "task: got 'add'; allowed: nature_show, addin"),
    "an initialiser": (lambda: lj.initializers.INITIALIZERS["ortho"],
                       "initializer: got 'ortho'; allowed: orthogonal, glorot, "),
}  # fmt: skip


class NoModule:
    """What somebody passes in place of weights."""


def _all(kind: str, error: type[Exception], table: dict[str, Any]) -> dict[str, Bad]:
    return {f"{kind}: {k}": Bad(call, error, line) for k, (call, line) in table.items()}


BAD = {
    **{f"task: {name}": bad for name, bad in TASKS.items()},
    **_all("cell", TypeError, CELLS),
    **_all("whole", TypeError, WHOLE_NUMBERS),
    **_all("range", ValueError, OUT_OF_RANGE),
    **_all("kind", TypeError, KINDS),
    **_all("name", KeyError, NAMES),
}


def raised(call: Callable[[], Any]) -> tuple[str, str]:
    """The type and the message of what a call raises."""
    try:
        found = call()
    except Exception as error:
        return type(error).__name__, str(error.args[0] if error.args else "")
    return "nothing", repr(found)[:200]


if __name__ == "__main__":
    json.dump({name: raised(bad.call) for name, bad in BAD.items()}, sys.stdout)
