"""What a memory keeps of the first scene: two shows that differ in nothing else."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import lstm_jax as lj
from experiments.common import compiling, gradient_shares
from lstm_jax import readouts
from lstm_jax.tasks.nature_show import ROLES, show_of
from lstm_jax.training import loop

SCENES = ("bear", "armchair")
SHOWS = 64  # drawn, so that one opens with each of the scenes


class TwoShows(NamedTuple):
    """One test show with an ambiguous last image, opened by either of SCENES.

    Attributes:
      inputs: (time, scene, input); the scenes differ at step 0 alone.
      roles: who is shown in the first of them, an index into ROLES at every step but
        the last.
    """

    inputs: Float[Array, "time 2 input"]
    roles: np.ndarray


class Kept(NamedTuple):
    """What a network keeps of the scene; after vmap, with leading axes.

    Attributes:
      difference: memory with the bear minus memory with the armchair, (time, unit).
      probability: of each answer after either scene, (scene, answer).
    """

    difference: Any
    probability: Any


def two_shows(key: jax.Array, rendering: str, lag: int) -> TwoShows:
    """Returns the first show of a test batch that the bear opens, and its twin."""
    drawn = key, SHOWS, lag + 2
    task = lj.tasks.nature_show(rendering, goldfish_rate=0.0)
    images = np.asarray(gradient_shares.sampled(task.sample_test, *drawn).inputs)
    show = gradient_shares.sampled(partial(show_of, goldfish_rate=0.0), *drawn)
    scenes = np.asarray(show.scene)
    bear, armchair = (int(np.argmax(scenes == ROLES.index(s))) for s in SCENES)
    twin = images[:, bear].copy()
    twin[0] = images[0, armchair]
    roles = np.array([scenes[bear], *np.asarray(show.distractors)[:, bear]])
    return TwoShows(jnp.asarray(np.stack([images[:, bear], twin], axis=1)), roles)


def kept(cell: lj.Cell, models: loop.ModelParams, shows: TwoShows) -> Kept:
    """Returns what networks, leaves (network, ...), keep of the scene.

    The memory is the part of the carry that the cell names so, of an RNN all of it.
    """

    def one(model):
        inputs = shows.inputs.astype(model.readout.w.dtype)
        carries, ys = lj.unroll_carries(cell, model.cell, inputs)
        memory = getattr(carries, cell.memory or "h")
        answers = readouts.linear(model.readout, ys[-1])
        return Kept(memory[:, 0] - memory[:, 1], jax.nn.softmax(answers))

    return jax.jit(jax.vmap(one), compiler_options=compiling.soon())(models)
