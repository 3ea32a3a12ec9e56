"""Whether compile time depends on the number of steps."""

from collections.abc import Iterator

from benchmarks.cases import layer_sides
from benchmarks.peers import layers
from benchmarks.shapes import Shape
from benchmarks.sides import Comparison, Setting


def compile_time(shape: Shape, setting: Setting) -> Iterator[Comparison]:
    """Our layer at T steps; the "peer" is our layer at 10 T."""
    longer = shape._replace(time=10 * shape.time)
    our, peer = (
        layer_sides.backward(layers.ours(), layer_sides.draw(size), setting)
        for size in (shape, longer)
    )
    peer = peer._replace(name="lstm_jax at 10 T")
    work = "forward+backward"
    yield Comparison("compile", shape.name, work, our, peer, measures=("compile",))
