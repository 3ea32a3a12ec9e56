"""Calls that can't be, each with the one line that it must end in.

Run as a script, in a process without the tests' type checker, which would speak first:
it prints, as JSON, the type and the message of what each call raised. `test_bad_calls`
compares.
"""

import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from bad_arguments import CELLS, KINDS, NAMES, OUT_OF_RANGE, WHOLE_NUMBERS

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
            key, lj.cells.IRNN, drawing(lengths=lambda t, b: jnp.full(b, -2)),
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
