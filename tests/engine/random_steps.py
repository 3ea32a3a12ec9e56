"""Random step functions: what users write inside a scan, thrown together by a seed.

A step reads a carry of many kinds (a matrix of memories, a running mean that begins at
zero, a complex rotation, a key, a counter) and makes new values from old ones by a
random chain of `MOVES`. Everything follows from the seed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lstm_jax as lj

TIME, BATCH, INPUT, HIDDEN = 5, 2, 3, 4


class RandomRun(NamedTuple):
    """What a scan is given, and what may be asked of it.

    Attributes:
      step: `(params, carry, x) -> (carry, y)`.
      params: a dictionary of matrices and vectors.
      carry: a dictionary.
      xs: (time, batch, input).
      options: of the scan.
      forward_mode: False where a step has a `custom_vjp`, which has no jvp.
      moves: the names of its moves, for whoever reads a failure.
    """

    step: Callable
    params: dict[str, Any]
    carry: dict[str, Any]
    xs: Any
    options: dict[str, Any]
    forward_mode: bool
    moves: tuple[str, ...]


@jax.custom_vjp
def reversed_gradient(v):
    """The identity, whose gradient is turned around."""
    return v


reversed_gradient.defvjp(lambda v: (v, v), lambda v, g: (-0.5 * g * jnp.cos(v),))


@jax.custom_jvp
def swish(v):
    """v σ(v), by a rule of its own that is not its derivative."""
    return v * jax.nn.sigmoid(v)


@swish.defjvp
def _swish_jvp(primals, tangents):
    (v,), (d,) = primals, tangents
    s = jax.nn.sigmoid(v)
    return v * s, d * (s + 0.9 * v * s * (1 - s))


def product(rng, p, v, c, x):
    return v @ p[rng.choice(["w1", "w2"])]


def input_product(rng, p, v, c, x):
    return x @ p["u"] + v


def einsum(rng, p, v, c, x):
    return jnp.einsum(rng.choice(["bh,hk->bk", "bh,kh->bk"]), v, p["w2"])


def product_of_the_batch(rng, p, v, c, x):
    return jnp.einsum("bh,bk->hk", v, c["h"]).sum(0) / 9 + v


def pre_activation(rng, p, v, c, x):
    return v @ p["w1"] - c["h"] @ p["w2"] + p["b"]


def gates(rng, p, v, c, x):
    z = v @ p["wide"] + x @ p["u_wide"]
    i, g = jnp.split(z, 2, axis=-1)
    return jax.nn.sigmoid(i) * jnp.tanh(g)


def activation(rng, p, v, c, x):
    return rng.choice([jnp.tanh, jax.nn.sigmoid, jnp.sin, jax.nn.softplus, swish])(v)


def rectified(rng, p, v, c, x):
    return jax.nn.relu(v + 0.2)


def where(rng, p, v, c, x):
    return jnp.where(v > 0.1, v, jnp.tanh(v @ p["w2"]))


def cond(rng, p, v, c, x):
    return jax.lax.cond(
        x.sum() > 0, lambda v: jnp.sin(v @ p["w1"]), lambda v: v * p["b"], v
    )


def nested_scan(rng, p, v, c, x):
    def inner(v, row):
        return jnp.tanh(v @ p["w1"] + row), v

    last, all_of_them = jax.lax.scan(inner, v, jnp.stack([p["b"], -p["b"]]))
    return last + all_of_them.mean(0)


def nested_weighted_scan(rng, p, v, c, x):
    rows = jnp.stack([v, -v])
    return lj.scan(
        lambda w, h, row: ((h := jnp.tanh(h @ w + row)), h), p["w2"], v, rows
    )[0]


def while_loop(rng, p, v, c, x):
    steps = jax.lax.fori_loop(
        0, 3, lambda _, n: n + 0.5, jax.lax.stop_gradient(v).sum()
    )
    return v * jnp.sin(steps)


def custom_vjp(rng, p, v, c, x):
    return reversed_gradient(v) @ p["w1"]


def clipped(rng, p, v, c, x):
    return lj.clip_backward(v, float(rng.choice([0.05, 1e9])))


def cut(rng, p, v, c, x):
    return lj.cut_backward(v, c["count"] % 2 == 0)


def remat(rng, p, v, c, x):
    return jax.checkpoint(lambda v: jnp.tanh(v @ p["w1"]) * v)(v)


def jitted(rng, p, v, c, x):
    return jax.jit(lambda v, w: jnp.tanh(v @ w))(v, p["w2"])


def noise(rng, p, v, c, x):
    return v + 0.1 * jax.random.normal(c["key"], v.shape, v.dtype)


def rotation(rng, p, v, c, x):
    return v + c["z"].real - c["z"].imag


def half(rng, p, v, c, x):
    """Stopped: rounded cotangents depend on the order in which they are added."""
    return jax.lax.stop_gradient(v).astype(jnp.bfloat16).astype(v.dtype) @ p["w1"]


def stopped(rng, p, v, c, x):
    return v * jax.lax.stop_gradient(jnp.cos(v))


def normalised(rng, p, v, c, x):
    """The running mean is 0 at the first step, where its root has no slope."""
    return v / (jnp.sqrt(c["mean"]) + 0.5)


def params_alone(rng, p, v, c, x):
    return v @ (p["w1"] - p["w1"].T) + jnp.exp(p["b"])


def gathered(rng, p, v, c, x):
    return v[:, ::-1] + p["table"][c["count"] % 3]


def wide_layer(rng, p, v, c, x):
    """Wide enough that its gradients must not all be saved."""
    return jax.nn.relu(v @ p["wider"]) @ p["back"]


def wide_readout(rng, p, v, c, x):
    return v + jax.nn.logsumexp(v @ p["wider"], axis=-1, keepdims=True)


def concatenated(rng, p, v, c, x):
    return jnp.concatenate([v, x], axis=-1) @ p["tall"]


MOVES = [
    product,
    input_product,
    einsum,
    product_of_the_batch,
    pre_activation,
    gates,
    activation,
    rectified,
    where,
    cond,
    nested_scan,
    nested_weighted_scan,
    while_loop,
    custom_vjp,
    clipped,
    cut,
    remat,
    jitted,
    noise,
    rotation,
    half,
    stopped,
    normalised,
    params_alone,
    gathered,
    concatenated,
    wide_layer,
    wide_readout,
]
NO_FORWARD_MODE = {custom_vjp, clipped}


def random_run(seed: int) -> RandomRun:
    """Returns the run of a seed."""
    rng = np.random.default_rng(seed)
    moves = [MOVES[k] for k in rng.choice(len(MOVES), size=4, replace=False)]
    # A pre-activation always, so that the engine has something to do.
    moves.insert(rng.integers(len(moves) + 1), pre_activation)
    seeds = rng.integers(2**31, size=len(moves))

    def step(params, carry, x):
        values = [carry["h"], x @ params["u"]]
        for move, own in zip(moves, seeds, strict=True):
            choice = np.random.default_rng(own)
            read = values[choice.integers(len(values))]
            values.append(move(choice, params, read, carry, x))
        h = jnp.tanh(sum(values[2:]) * 0.5)
        return _next_carry(carry, h, x), {
            "h": h,
            "of a value": values[-1],
            "none": None,
        }

    return RandomRun(
        step,
        _params(rng),
        _carry(rng),
        jnp.asarray(rng.standard_normal((TIME, BATCH, INPUT))),
        _options(rng),
        not NO_FORWARD_MODE & {*moves},
        tuple(move.__name__ for move in moves),
    )


def _next_carry(carry, h, x):
    return {
        "h": h,
        "mean": 0.9 * carry["mean"] + 0.1 * (x**2).mean(),
        "z": carry["z"] * np.exp(0.3j) + 0.1 * h.astype(carry["z"].dtype),
        "key": jax.random.split(carry["key"])[0],
        "count": carry["count"] + 1,
    }


def _params(rng):
    shapes = {
        "w1": (HIDDEN, HIDDEN),
        "w2": (HIDDEN, HIDDEN),
        "wide": (HIDDEN, 2 * HIDDEN),
        "tall": (HIDDEN + INPUT, HIDDEN),
        "u": (INPUT, HIDDEN),
        "u_wide": (INPUT, 2 * HIDDEN),
        "wider": (HIDDEN, 20 * HIDDEN),
        "back": (20 * HIDDEN, HIDDEN),
        "b": (HIDDEN,),
        "table": (3, HIDDEN),
    }
    return {
        name: jnp.asarray(0.5 * rng.standard_normal(shape))
        for name, shape in shapes.items()
    }


def _carry(rng):
    return {
        "h": jnp.asarray(0.5 * rng.standard_normal((BATCH, HIDDEN))),
        "mean": jnp.zeros(()),
        "z": jnp.asarray(0.5j * rng.standard_normal((BATCH, HIDDEN))),
        "key": jax.random.key(int(rng.integers(2**31))),
        "count": jnp.zeros((), jnp.int32),
    }


def _options(rng):
    return {
        "reverse": bool(rng.integers(2)),
        "unroll": int(rng.choice([1, 1, 2])),
        "checkpoint_every": [None, None, 2][rng.integers(3)],
    }
