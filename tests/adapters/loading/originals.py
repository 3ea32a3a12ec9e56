"""Networks of other libraries: what they hold, and what they themselves make of xs."""

import os
from typing import Any, NamedTuple

os.environ.setdefault("KERAS_BACKEND", "jax")

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import torch
from flax import nnx

TIME, BATCH, INPUT, HIDDEN = 5, 2, 3, 3  # square, so a forgotten transpose has to show


class Original(NamedTuple):
    """A network: what `load` reads, and ys (time, batch, output) of the library."""

    source: Any
    run: Any  # xs -> ys, differentiable by jax; None after numbers of another library
    ys: Any = None
    input_gradient: Any = None  # of sum(ys * weighting)


def inputs(dtype: Any = np.float64):
    return np.random.default_rng(0).standard_normal((TIME, BATCH, INPUT)).astype(dtype)


def weighting(shape):
    """What turns outputs into one number."""
    return np.cos(np.arange(np.prod(shape))).reshape(shape)


def of_torch(make, cells=False, **options):
    """A module, or a cell that is run step by step, and its autograd."""
    torch.manual_seed(0)
    module = make(INPUT, HIDDEN, dtype=torch.float64, **options)
    xs = torch.tensor(inputs(), requires_grad=True)
    if cells:
        state, shown = None, []
        for x in xs:
            state = module(x, state)
            shown.append(state[0] if isinstance(state, tuple) else state)
        ys = torch.stack(shown)
    else:
        ys, _ = module(xs)
    (ys * torch.tensor(weighting(ys.shape))).sum().backward()
    return Original(module, None, ys.detach().numpy(), xs.grad)


def drawn(params, seed=1):
    """The same shapes, every number drawn: biases begin at zero in most libraries."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: jax.device_put(rng.uniform(-0.8, 0.8, jnp.shape(leaf))), params
    )


def stepped(step, carry):
    """Runs `(carry, x) -> (carry, y)` over time, in Python's own loop."""

    def run(xs):
        memory, ys = carry, []
        for x in xs:
            memory, y = step(memory, x)
            ys.append(y)
        return jnp.stack(ys)

    return run


def wide(tree):
    """In float64, which libraries do not give their empty memories."""
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64), tree)


def hidden_shapes(begin):
    return jax.eval_shape(lambda: wide(begin()))


def run_linen(make, variables):
    module = make(HIDDEN, param_dtype=jnp.float64)
    empty = module.initialize_carry(jax.random.key(0), (BATCH, INPUT))
    step = lambda carry, x: module.apply(variables, carry, x)
    return stepped(step, wide(empty))


def of_linen(make):
    module, xs = make(HIDDEN, param_dtype=jnp.float64), np.zeros((BATCH, INPUT))
    empty = hidden_shapes(lambda: module.initialize_carry(jax.random.key(0), xs.shape))
    variables = drawn(jax.eval_shape(module.init, jax.random.key(0), empty, xs))
    source = {"params": {"rnn": variables["params"]}}
    return Original(source, run_linen(make, variables))


def new_nnx(make):
    dtypes = {"dtype": jnp.float64, "param_dtype": jnp.float64}
    return make(INPUT, HIDDEN, **dtypes, rngs=nnx.Rngs(0))


def run_nnx(make, state):
    module = new_nnx(make)
    nnx.update(module, state)
    return stepped(module, wide(module.initialize_carry((BATCH, INPUT), nnx.Rngs(0))))


def of_nnx(make):
    module = new_nnx(make)
    state = drawn(nnx.state(module, nnx.Param))
    nnx.update(module, state)
    return Original(module, run_nnx(make, state))


def run_haiku(make, params):
    core = hk.without_apply_rng(hk.transform(lambda x, state: make(HIDDEN)(x, state)))
    empty = hk.testing.transform_and_run(lambda: make(HIDDEN).initial_state(BATCH))()
    return stepped(lambda carry, x: core.apply(params, x, carry)[::-1], wide(empty))


def of_haiku(make):
    def first(x):
        core = make(HIDDEN)
        return core(x, core.initial_state(BATCH))

    init, xs = hk.transform(first).init, np.zeros((BATCH, INPUT))
    params = drawn(jax.eval_shape(init, jax.random.key(0), xs))
    return Original(params, run_haiku(make, params))


def run_equinox(module):
    one = jnp.zeros((BATCH, HIDDEN), jnp.float64)
    two = "LSTM" in type(module).__name__

    def step(carry, x):
        carry = jax.vmap(module)(x, carry)
        return carry, carry[0] if two else carry

    return stepped(step, (one, one) if two else one)


def of_equinox(make):
    module = make(INPUT, HIDDEN, dtype=jnp.float64, key=jax.random.key(0))
    return Original(module, run_equinox(module))


def of_keras(layer, build=True):
    """A layer of Keras, its weights drawn; batch first there."""
    layer.build((BATCH, TIME, INPUT))
    rng = np.random.default_rng(2)
    layer.set_weights([rng.uniform(-0.8, 0.8, w.shape) for w in layer.weights])
    return Original(layer, lambda xs: jnp.swapaxes(layer(jnp.swapaxes(xs, 0, 1)), 0, 1))


ONNX_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def of_onnx(op, path, directions=1, **attributes):
    """A file with one node, and what ONNX Runtime makes of it."""
    rng, width = np.random.default_rng(3), ONNX_GATES[op] * HIDDEN
    shapes = {"W": (width, INPUT), "R": (width, HIDDEN), "B": (2 * width,)}
    arrays = {
        name: rng.uniform(-0.8, 0.8, (directions, *shape)).astype(np.float32)
        for name, shape in shapes.items()
    }
    if directions == 2:
        attributes["direction"] = "bidirectional"
    node = onnx.helper.make_node(
        op, ["x", *"WRB"], ["y"], name="net/rnn", hidden_size=HIDDEN, **attributes
    )
    real = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node],
        "net",
        [onnx.helper.make_tensor_value_info("x", real, (TIME, BATCH, INPUT))],
        [onnx.helper.make_tensor_value_info("y", real, None)],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = onnx.helper.make_model(
        graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 14)]
    )
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(str(path))
    found = session.run(None, {"x": inputs(np.float32)})
    ys = np.moveaxis(np.asarray(found[0]), 1, 0)  # direction, time, batch, hidden
    return Original(str(path), None, np.concatenate([*ys], axis=-1))
