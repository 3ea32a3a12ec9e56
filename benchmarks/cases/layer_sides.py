"""One layer as sides: forward, forward+backward, ten steps of training.

With fixed random weights in our form, random xs and a random cotangent R:

    forward             ys
    forward+backward    L = sum(ys * R), dL/dweights, dL/dxs
    ten steps           ten times weights <- weights - RATE * dL/dweights
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import torch

import lstm_jax as lj
from benchmarks import devices
from benchmarks.peers import pytorch
from benchmarks.peers.layers import Layer
from benchmarks.shapes import Shape
from benchmarks.sides import Setting, Side, jax_side

STEPS = 10
RATE = 0.01


class Problem(NamedTuple):
    """What every library works on."""

    params: Any  # our weights
    xs: jax.Array  # (time, batch, input)
    cotangent: jax.Array  # (time, batch, hidden), R above


def draw(shape: Shape, cell: lj.Cell = lj.LSTM) -> Problem:
    """Returns the same problem every time."""
    key_params, key_xs, key_cotangent = jax.random.split(jax.random.key(0), 3)
    steps = (shape.time, shape.batch)
    scale = (shape.time * shape.batch) ** -0.5
    return Problem(
        params=cell.init(key_params, shape.input, shape.hidden),
        xs=jax.random.normal(key_xs, (*steps, shape.input)),
        cotangent=scale * jax.random.normal(key_cotangent, (*steps, shape.hidden)),
    )


def forward(layer: Layer, problem: Problem, setting: Setting) -> Side:
    """The outputs."""

    def function(weights, xs):
        return (layer.apply(weights, xs),)

    return _side(layer, function, problem, setting, "xs", "y")


def backward(layer: Layer, problem: Problem, setting: Setting) -> Side:
    """The loss and its gradients with respect to weights and inputs."""

    def function(weights, xs, cotangent):
        loss, (weights, xs) = jax.value_and_grad(_loss(layer), argnums=(0, 1))(
            weights, xs, cotangent
        )
        return *devices.total((loss, weights), setting), xs

    return _side(layer, function, problem, setting, "xs cotangent", "loss weights x")


def training(layer: Layer, problem: Problem, setting: Setting) -> Side:
    """How ten steps of gradient descent change the weights."""

    def function(weights, xs, cotangent):
        def update(_, weights):
            gradient = jax.grad(_loss(layer))(weights, xs, cotangent)
            gradient = devices.total(gradient, setting)
            return jax.tree.map(lambda w, g: w - RATE * g, weights, gradient)

        after = jax.lax.fori_loop(0, STEPS, update, weights)
        return (after,)

    before = layer.copy(problem.params)
    return _side(layer, function, problem, setting, "xs cotangent", "change", before)


def _loss(layer: Layer) -> Callable:
    return lambda weights, xs, cotangent: jnp.sum(layer.apply(weights, xs) * cotangent)


def _side(
    layer: Layer,
    function: Callable,
    problem: Problem,
    setting: Setting,
    reads: str,
    gives: str,
    before: Any = None,
) -> Side:
    """Returns the side of `(weights, *reads) -> gives`, in the library's layout.

    `reads` names arrays of the problem. `gives` names the results: "y" and "x" have a
    batch axis, "weights" are gradients, "change" is what has become of the weights
    `before`, and "loss" is a number.
    """
    rows = devices.rows(layer.batch_axis)
    arrays = [getattr(problem, name) for name in reads.split()]
    arguments = (layer.copy(problem.params), *(_to_layout(layer, a) for a in arrays))
    in_specs = (devices.WHOLE, *(rows for _ in arrays))
    out_specs = [
        rows if what in ("x", "y") else devices.WHOLE for what in gives.split()
    ]

    def home(results):
        return tuple(map(bring_home, gives.split(), results))

    def bring_home(what, result):
        if what in ("x", "y"):
            return _to_layout(layer, result)
        if what == "change":
            # Each weight is copied to exactly one place: the transpose is the inverse.
            result = jax.tree.map(jnp.subtract, result, before)
        return result if what == "loss" else _weights_home(layer, problem, result)

    return jax_side(
        layer.name,
        devices.split(function, setting, in_specs, tuple(out_specs)),
        devices.place(arguments, setting, in_specs),
        setting,
        home,
    )


def _to_layout(layer: Layer, array: jax.Array) -> jax.Array:
    """Moves the batch axis to where the library expects it, or back."""
    return jnp.moveaxis(array, 1, layer.batch_axis)


def _weights_home(layer: Layer, problem: Problem, gradient: Any) -> Any:
    _, transpose = jax.vjp(layer.copy, problem.params)
    return transpose(jax.device_put(gradient, jax.devices()[0]))[0]


# --- PyTorch --------------------------------------------------------------------------


def torch_side(run: Callable[[], Any], answer: Callable[[], Any]) -> Side:
    """Returns a side of PyTorch, which waits for its device."""
    return Side("PyTorch", pytorch.waited(run), answer)


def torch_forward(problem: Problem) -> Side:
    """As `forward`."""
    module, xs = pytorch.lstm(problem.params), pytorch.tensor(problem.xs)

    def run():
        with torch.no_grad():
            return module(xs)[0]

    return torch_side(run, answer=lambda: (pytorch.array(run()),))


def torch_backward(problem: Problem) -> Side:
    """As `backward`."""
    module = pytorch.lstm(problem.params)
    xs, cotangent = pytorch.tensor(problem.xs), pytorch.tensor(problem.cotangent)
    xs.requires_grad_()

    def run():
        pytorch.forget_gradients(module)
        xs.grad = None
        loss = (module(xs)[0] * cotangent).sum()
        loss.backward()
        return loss

    def answer():
        loss = pytorch.array(run())
        return loss, pytorch.gradients(module), pytorch.tensor_gradient(xs)

    return torch_side(run, answer)


def torch_training(problem: Problem) -> Side:
    """As `training`; the second bias is not trained, so that there is one b."""
    module = pytorch.lstm(problem.params)
    xs, cotangent = pytorch.tensor(problem.xs), pytorch.tensor(problem.cotangent)
    module.bias_hh_l0.requires_grad_(False)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    trained = [one for one in module.parameters() if one.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=RATE)

    def run():
        with torch.no_grad():
            for parameter, start in zip(module.parameters(), before, strict=True):
                parameter.copy_(start)
        for _ in range(STEPS):
            optimizer.zero_grad()
            (module(xs)[0] * cotangent).sum().backward()
            optimizer.step()

    def answer():
        run()
        state = module.state_dict()
        after = lj.from_torch({name: leaf.cpu() for name, leaf in state.items()})
        return (jax.tree.map(jnp.subtract, after, problem.params),)

    return torch_side(run, answer)
