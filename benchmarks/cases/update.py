"""A whole update on the adding problem, and eight seeds of it, against PyTorch.

Both sides are timed drawing their own batches, with their library's generator, each
update following the last. Before that, their losses and gradients on one common batch
are compared.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import numpy as np

import lstm_jax as lj
from benchmarks import devices
from benchmarks.cases import adding
from benchmarks.cases.adding_torch import Training
from benchmarks.devices import can_split
from benchmarks.peers import pytorch
from benchmarks.shapes import Shape
from benchmarks.sides import Comparison, Setting, Side, jax_side

SEEDS = 8


def step(shape: Shape, setting: Setting) -> Iterator[Comparison]:
    """One update against one of PyTorch."""
    if not can_split(shape, setting):
        return
    state = adding.init_state(jax.random.key(1), shape)
    batch = adding.TASK.sample(jax.random.key(2), shape.batch, shape.time)
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
        run=pytorch.waited(torch_training.step),
        answer=lambda: Training(state.model, shape).model.loss_and_gradient(batch),
    )
    yield Comparison("step", shape.name, "one update", our, peer)


def seeds(shape: Shape, setting: Setting) -> Iterator[Comparison]:
    """Eight models updated together, split over the devices, against one by one."""
    keys = jax.random.split(jax.random.key(1), SEEDS)
    states = jax.vmap(lambda key: adding.init_state(key, shape))(keys)
    batch = adding.TASK.sample(jax.random.key(2), shape.batch, shape.time)
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
        run=pytorch.waited(lambda: [training.step() for training in trainings]),
        answer=torch_answer,
    )
    ways = {"vmap": jax.vmap, "lax.map": lambda of_one: partial(jax.lax.map, of_one)}
    for how, together in ways.items():
        our = _seeds_side(f"lstm_jax {how}", together, states, batch, shape, setting)
        yield Comparison("seeds", shape.name, f"{SEEDS} updates, {how}", our, peer)


def _seeds_side(
    name: str,
    together: Callable,
    states: adding.State,
    batch: lj.Batch,
    shape: Shape,
    setting: Setting,
) -> Side:
    one = Setting(setting.rounds)  # one device: a seed's batch is not split
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
    """Returns a side in which every run continues from the one before."""
    side = jax_side(name, update, (state,), setting)
    assert side.program is not None
    program, current = side.program, [state]

    def run():
        current[0], loss = jax.block_until_ready(program(current[0]))
        return loss

    return side._replace(run=run, answer=answer)
