"""A long sequence with checkpoints, against storing every step."""

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

import lstm_jax as lj
from benchmarks.cases import layer_sides
from benchmarks.cases.layer_sides import Problem
from benchmarks.shapes import Shape
from benchmarks.sides import Comparison, Setting, Side, jax_side


def checkpoint(shape: Shape, setting: Setting) -> Iterator[Comparison]:
    """Loss and its gradient by the weights; the loss reads the last output, or all."""
    problem = layer_sides.draw(shape)
    every = {"checkpoint_every": math.isqrt(shape.time)}
    plain = {"implementation": "plain"}
    for reads in ("last step", "every step"):
        our = training_side("lstm_jax checkpointed", every, reads, problem, setting)
        peer = training_side("plain scan", plain, reads, problem, setting)
        work = f"loss on the {reads}" if reads == "last step" else f"loss on {reads}"
        yield Comparison("checkpoint", shape.name, work, our, peer)


def training_side(
    name: str, options: dict[str, Any], reads: str, problem: Problem, setting: Setting
) -> Side:
    """Returns the side of the loss and its gradient; `unroll` takes the options."""

    def loss(params, xs, cotangent):
        carry, ys = lj.unroll(lj.LSTM, params, xs, **options)
        if reads == "last step":
            return jnp.sum(carry.h * cotangent[-1])
        return jnp.sum(ys * cotangent)

    return jax_side(name, jax.value_and_grad(loss), tuple(problem), setting)
