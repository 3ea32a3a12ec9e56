"""Newton's method over all steps at once against the scan, by how fast a net forgets.

The cell is an RNN of random weights of a gain g: the larger g, the larger λ_1, the
exponent that `parallel_unroll` forecasts, and the more iterations it takes. From
λ_1 = 0 on it isn't begun, and what is timed is the forecast and the scan.
"""

from collections.abc import Iterator

import jax

import lstm_jax as lj
from benchmarks.shapes import Shape
from benchmarks.sides import Comparison, Setting, jax_side

GAINS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
METHODS = ("newton", "quasi_newton")


def newton(shape: Shape, setting: Setting) -> Iterator[Comparison]:
    """Every gain and method, forward."""
    for gain in GAINS:
        params = lj.RNN.init(
            jax.random.key(0),
            shape.input,
            shape.hidden,
            gain=gain,
            recurrent_init=lj.initializers.gaussian,
        )
        xs = jax.random.normal(
            jax.random.key(1), (shape.time, shape.batch, shape.input)
        )
        scan = jax_side("scan", _scanned, (params, xs), setting)
        for method in METHODS:
            found = lj.parallel_unroll(lj.RNN, params, xs, method=method)[2]
            work = f"λ_1 = {float(found.exponent):+.2f}, gain {gain:g}"
            name = f"{method}, {int(found.iterations)} iterations"

            def parallel(params, xs, method=method):
                return (lj.parallel_unroll(lj.RNN, params, xs, method=method)[1],)

            ours = jax_side(name, parallel, (params, xs), setting)
            yield Comparison("newton", shape.name, work, ours, scan, ("time",))


def _scanned(params, xs):
    return (lj.unroll(lj.RNN, params, xs)[1],)
