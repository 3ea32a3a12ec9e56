"""A whole update of the adding problem, and eight seeds of it, against PyTorch.

What is timed draws its own batches, by the generator of its library, and goes on from
its last update. What is compared before is loss and gradient on one batch for both.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from benchmarks import devices
from benchmarks.cases import adding
from benchmarks.cases.adding_torch import Training
from benchmarks.devices import can_split
from benchmarks.shapes import Shape
from benchmarks.sides import Comparison, Setting, Side, jax_side

SEEDS = 8


def step(shape: Shape, setting: Setting) -> Iterator[Comparison]:
    """One update against one of PyTorch."""
    if not can_split(shape, setting):
        return
    state = adding.init_state(jax.random.key(1), shape)
    batch = adding.sample(jax.random.key(2), shape.time, shape.batch)
    gradient = jax.jit(adding.loss_and_gradient(setting))
    our = _training_side(
        "lstm_jax",
        adding.step(shape, setting),
        devices.place((state,), setting, (devices.WHOLE,))[0],
        setting,
        answer=lambda: gradient(state.model, batch),
    )
    torch_training = Training(state.model, shape)
    peer = Side(
        "PyTorch",
        run=torch_training.step,
        answer=lambda: Training(state.model, shape).model.loss_and_gradient(batch),
    )
    yield Comparison("step", shape.name, "one update", our, peer)


def seeds(shape: Shape, setting: Setting) -> Iterator[Comparison]:
    """Eight models updated at once, split over the devices, against eight in a row."""
    keys = jax.random.split(jax.random.key(1), SEEDS)
    states = jax.vmap(lambda key: adding.init_state(key, shape))(keys)
    batch = adding.sample(jax.random.key(2), shape.time, shape.batch)
    models = [
        jax.tree.map(lambda leaf, k=k: leaf[k], states.model) for k in range(SEEDS)
    ]
    trainings = [Training(model, shape) for model in models]

    def torch_answer():
        fresh = [Training(model, shape).model for model in models]
        found = [model.loss_and_gradient(batch) for model in fresh]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *found)

    peer = Side(
        "PyTorch, one by one",
        run=lambda: [training.step() for training in trainings],
        answer=torch_answer,
    )
    for how, together in {"vmap": jax.vmap, "lax.map": _mapped}.items():
        our = _seeds_side(f"lstm_jax {how}", together, states, batch, shape, setting)
        yield Comparison("seeds", shape.name, f"{SEEDS} updates, {how}", our, peer)


def _seeds_side(
    name: str,
    together: Callable,
    states: adding.State,
    batch: adding.Batch,
    shape: Shape,
    setting: Setting,
) -> Side:
    one = Setting(setting.rounds)  # inside, every seed has its whole batch
    by_seed = devices.rows(0)
    update = together(adding.step(shape, one))
    gradient = together(lambda model: adding.loss_and_gradient(one)(model, batch))
    gradient = jax.jit(devices.split(gradient, setting, (by_seed,), by_seed))
    return _training_side(
        name,
        devices.split(update, setting, (by_seed,), by_seed),
        devices.place((states,), setting, (by_seed,))[0],
        setting,
        answer=lambda: gradient(states.model),
    )


def _training_side(
    name: str, update: Callable, state: Any, setting: Setting, answer: Callable
) -> Side:
    """Returns a side whose every run goes on from the last one."""
    side = jax_side(name, update, (state,), setting)
    assert side.program is not None
    program, current = side.program, [state]

    def run():
        current[0], loss = jax.block_until_ready(program(current[0]))
        return loss

    return side._replace(run=run, answer=answer)


def _mapped(function: Callable) -> Callable:
    """Returns the function over the leading axis, one entry after the other."""

    def over_all(values):
        return jax.lax.map(function, values)

    return over_all
