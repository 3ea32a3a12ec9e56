"""A small sweep, one setting a part."""

import dataclasses

import numpy as np

from experiments.sweep import Config
from experiments.sweep.parts import Outcome

# One setting a part, and long enough for a kill in the middle.
SMALL = Config(
    cell="rnn",
    hidden_size=3,
    length=4,
    batch_size=2,
    num_steps=800,
    num_seeds=2,
    test_size=5,
    sweep="learning_rate=1e-3,1e-2,1e-1;clip=1,none",
    at_once=1,
)


def changed(**values):
    return dataclasses.replace(SMALL, **values)


def ended(loss, accuracy=None, diverged_at=None):
    """An outcome made up."""
    loss = np.array(loss, float)
    never = np.full(loss.shape, -1)
    return Outcome(
        loss=loss,
        accuracy=np.zeros_like(loss) if accuracy is None else np.array(accuracy),
        updates=np.full(loss.shape, 9),
        diverged_at=never if diverged_at is None else np.array(diverged_at),
        solved_at=never,
    )
