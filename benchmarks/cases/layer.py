"""An LSTM layer and its training against other libraries; cells through `lj.scan`."""

from collections.abc import Iterator

import lstm_jax as lj
from benchmarks.cases import layer_sides
from benchmarks.devices import can_split
from benchmarks.peers import layers
from benchmarks.peers.layers import Layer
from benchmarks.shapes import Shape
from benchmarks.sides import Comparison, Setting

# What a layer does, in JAX and in PyTorch.
WORK = {
    "forward": (layer_sides.forward, layer_sides.torch_forward),
    "forward+backward": (layer_sides.backward, layer_sides.torch_backward),
}


def layer(shape: Shape, setting: Setting) -> Iterator[Comparison]:
    """Our layer against the layer of every library."""
    if not can_split(shape, setting):
        return
    problem = layer_sides.draw(shape)
    for work, (side, torch_side) in WORK.items():
        our = side(layers.ours(), problem, setting)
        yield Comparison("layer", shape.name, work, our, torch_side(problem))
        for peer in [*layers.ours_otherwise(), *layers.jax_layers(shape)]:
            other = side(peer, problem, setting)
            yield Comparison("layer", shape.name, work, our, other)


def training(shape: Shape, setting: Setting) -> Iterator[Comparison]:
    """Ten steps of gradient descent, in one program, against ten of PyTorch."""
    if not can_split(shape, setting):
        return
    problem = layer_sides.draw(shape)
    work = f"{layer_sides.STEPS} steps"
    our = layer_sides.training(layers.ours(), problem, setting)
    yield Comparison(
        "training", shape.name, work, our, layer_sides.torch_training(problem)
    )
    for peer in layers.ours_otherwise():
        other = layer_sides.training(peer, problem, setting)
        yield Comparison("training", shape.name, work, our, other)


def cells(shape: Shape, setting: Setting) -> Iterator[Comparison]:
    """Cells of other libraries through `lj.scan`, against the library's own loop."""
    if not can_split(shape, setting):
        return
    problem = layer_sides.draw(shape)
    for work, (side, _) in WORK.items():
        for peer in layers.library_cells(shape):
            our = side(through_scan(peer), problem, setting)
            other = side(peer, problem, setting)
            yield Comparison("cells", shape.name, work, our, other)


def through_scan(layer: Layer) -> Layer:
    """Returns the same layer with `lj.scan` in place of the library's loop."""
    step, start = layer.step, layer.start
    assert step is not None and start is not None

    def apply(weights, xs):
        return lj.scan(step, weights, start(xs.shape[1]), xs)[1]

    return layer._replace(name=f"{layer.name} through lj.scan", apply=apply)
