"""Arguments of the wrong kind or size, each with the line that it must end in."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstm_jax

lj: Any = lstm_jax  # for a type checker: these calls are meant to be wrong
KEY = jax.random.key(0)
TIME, BATCH, INPUT = 5, 4, 2


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
    "flossing": (lambda: lj.gradients.flossing("rnn", RNN_PARAMS, XS), "cell: got 'rnn'; "),
    "paths": (lambda: lj.gradients.path_shares("lstm", PARAMS, XS, last), "cell: got 'lstm'; "),
    "paths of a list": (lambda: lj.gradients.path_shares([lj.LSTM], PARAMS, XS, last),
                        "cell: got list; "),
    "path jacobians": (lambda: lj.gradients.path_jacobians("lstm", PARAMS, XS),
                       "cell: got 'lstm'; "),
    "path names": (lambda: lj.gradients.path_names(None, PARAMS, XS[0]), "cell: got None; "),
    "trace": (lambda: lj.trace(lj.LSTM.step, PARAMS, XS), "cell: got "),
    "contributions": (lambda: lj.gradients.weight_contributions(3, PARAMS, XS, last),
                      "cell: got 3; "),
    "sensitivities": (lambda: lj.gradients.sensitivities(3, PARAMS, XS), "cell: got 3; "),
    "train": (adding(cell="lstm"), f"cell: got 'lstm'; {A_CELL}"),
    "train many": (many(cell=lj.rnn), "cell: got function; "),
    "evaluate": (lambda: lj.evaluate(KEY, "rnn", ADDING, RNN_PARAMS, batch_size=2,
                                     length=6), "cell: got 'rnn'; "),
    "stack": (lambda: lj.stack(lj.LSTM, 3), f"cells: got 3; {A_CELL}"),
    "stack of a list": (lambda: lj.stack([lj.LSTM]), "cells: got list; "),
    "zoneout": (lambda: lj.zoneout("lstm", 0.1), "cell: got 'lstm'; "),
    "dropout": (lambda: lj.cells.variational_dropout(None), "cell: got None; "),
    "residual": (lambda: lj.residual(3), "cell: got 3; "),
    "heads": (lambda: lj.cells.block_diagonal(3, 2), "cell: got 3; "),
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
    "flossed": (measured(lj.gradients.flossing, 1.5), "num_exponents: got 1.5; "),
    "probes": (measured(lj.gradients.influence, num_probes="3"), "num_probes: got '3'; "),
    "sensitivities": (measured(lj.gradients.sensitivities, runs_at_once=2.5),
                      f"runs_at_once: got 2.5; {WHOLE}at least 1"),
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
        lambda: jax.eval_shape(lambda: lj.evaluate(
            KEY, lj.RNN, ADDING, RNN_PARAMS, batch_size=2, length=6)),
        "params: got RNNParams; it must be ModelParams, of a cell and its readout"),
    "text for a bias": (initialised(lj.LSTM, forget_bias="3"),
                        "forget_bias: got '3'; it must be a number, finite"),
    "lists for a bias": (initialised(lj.LSTM, forget_bias=[[1], [2, 3]]),
                         "forget_bias: got list; it must be a number, finite"),
    "no bias": (initialised(lj.cells.MGU, forget_bias=None),
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
