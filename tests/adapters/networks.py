"""Networks of drawn weights, as load returns them: layers, directions, a readout."""

from typing import Any

import jax
import jax.numpy as jnp
from adapters.loading import originals

import lstm_jax as lj
from lstm_jax.readouts import LinearParams

INPUT, HIDDEN, ANSWERS = 3, 4, 2
Directions = lj.adapters.Directions


def drawn(cell, input_size=INPUT, seed=1) -> Any:
    """Weights without a zero among them."""
    key = jax.random.key(0)
    shapes = jax.eval_shape(lambda: cell.init(key, input_size, HIDDEN))
    return originals.drawn(shapes, seed)


READOUT = originals.drawn(LinearParams(jnp.zeros((HIDDEN, ANSWERS)), jnp.zeros(2)))


def network(cell, layers=1, directions=1, readout=None):
    """What load would return of such a network."""
    widths = [INPUT, *[directions * HIDDEN] * (layers - 1)]
    made = [
        [drawn(cell, width, seed=10 * at + d) for d in range(directions)]
        for at, width in enumerate(widths)
    ]
    params = [Directions(*one) if directions == 2 else one[0] for one in made]
    several = layers > 1 and directions == 1
    return lj.adapters.Loaded(
        lj.stack(*[cell] * layers) if several else cell,
        tuple(params) if layers > 1 else params[0],
        layers,
        directions,
        readout,
        (),
    )
