"""The library's trainer: the cost of drawing batches, and seeds side by side.

Ten updates of a new model on the adding problem, compiled. In "share of drawing" the
peer only draws the ten batches, so that the ratio is its share of the time.

"10 updates of 8 seeds" compares one program, `lj.train_many` with one run at a time on
each device, as it recommends for the CPU, with eight calls of the compiled `lj.train`,
started one after the other without waiting in between, as a user would. With
--cpu_devices=2 each device trains four of the seeds, while the eight calls run in the
same process on the first device. They still have the whole machine: products are split
over one pool of threads, one per core, which all CPU devices of a process share (a
large product on one device of two keeps both threads of two cores as busy as on a
single device).
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import numpy as np
import optax

import lstm_jax as lj
from benchmarks.shapes import Shape
from benchmarks.sides import Comparison, Setting, Side, jax_side, timed_alone
from lstm_jax.training import sharding

SEEDS = 8
STEPS = 10
RATE = 3e-3
TASK = lj.TASKS["adding"]


def trainer(shape: Shape, setting: Setting) -> Iterator[Comparison]:
    """Drawing against whole updates; eight seeds side by side against one by one."""
    if setting.devices == 1:
        yield _drawing(shape, setting)
    work = f"{STEPS} updates of {SEEDS} seeds"
    keys = jax.random.split(jax.random.key(0), SEEDS)
    sides = _together(keys, shape, setting), _one_by_one(keys, shape, setting)
    yield Comparison("trainer", shape.name, work, *sides, measures=("time",))


def _drawing(shape: Shape, setting: Setting) -> Comparison:
    key = jax.random.key(0)
    whole = jax_side("lj.train", partial(_train, shape=shape), (key,), setting)
    drawing = jax_side("its drawing", partial(_draw, shape=shape), (key,), setting)
    what = f"{STEPS} updates, share of drawing"
    sides = map(timed_alone, (whole, drawing))  # they do not do the same work
    return Comparison("trainer", shape.name, what, *sides, measures=("time",))


def _optimizer(learning_rate: Any) -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(learning_rate))


def _sizes(shape: Shape) -> dict[str, Any]:
    return dict(
        hidden_size=shape.hidden,
        num_steps=STEPS,
        batch_size=shape.batch,
        length=shape.time,
    )


def _train(key: jax.Array, shape: Shape) -> jax.Array:
    """Returns the losses of ten updates."""
    _, history = lj.train(key, lj.LSTM, TASK, _optimizer(RATE), **_sizes(shape))
    return history.loss


def _draw(key: jax.Array, shape: Shape) -> lj.Batch:
    return jax.lax.map(
        lambda key: TASK.sample(key, shape.batch, shape.time),
        jax.random.split(key, STEPS),
    )


def _together(keys: jax.Array, shape: Shape, setting: Setting) -> Side:
    """Returns the side of one program for all seeds, one at a time on each device."""
    mesh = sharding.mesh_of(f"seed:{setting.devices}")

    def losses(keys):
        _, histories = lj.train_many(
            keys,
            lj.LSTM,
            TASK,
            _optimizer,
            hyperparams={"learning_rate": RATE},
            mesh=mesh,
            runs_at_once=1,
            **_sizes(shape),
        )
        return histories.loss

    placed = sharding.place(keys, mesh, seeds=True)
    return jax_side("lj.train_many", losses, (placed,), setting)


def _one_by_one(keys: jax.Array, shape: Shape, setting: Setting) -> Side:
    each = [keys[k] for k in range(SEEDS)]
    one = jax_side("one by one", partial(_train, shape=shape), (each[0],), setting)
    program = one.program
    assert program is not None

    def run():
        return jax.block_until_ready([program(key) for key in each])

    return one._replace(run=run, answer=lambda: np.stack(run()))
