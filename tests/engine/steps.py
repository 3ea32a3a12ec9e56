"""Step functions of every kind that users write, and what a report says of each."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from engine.runs import BATCH, HIDDEN, INPUT, TIME, Run, normal

# Steps that the engine has to take apart

X, H = f"float64[{BATCH},{INPUT}]", f"float64[{BATCH},{HIDDEN}]"
W, U = f"{X} @ {INPUT}x{HIDDEN}", f"{H} @ {HIDDEN}x{HIDDEN}"
BOTH = (W, U)


class Case(NamedTuple):
    """A step on the weights of `weights`, and the pre-activations it should show."""

    step: Any
    wanted: tuple[tuple[str, ...], ...] = (BOTH,)
    refused: int = 0
    carry: Any = None
    xs: Any = None


def weights():
    names = {
        "w": (INPUT, HIDDEN),
        "u": (HIDDEN, HIDDEN),
        "v": (HIDDEN, HIDDEN),
        "b": (HIDDEN,),
        "out": (HIDDEN, 2),
        "wide_w": (INPUT, 2 * HIDDEN),
        "wide_u": (HIDDEN, 2 * HIDDEN),
        "tall": (INPUT + HIDDEN, HIDDEN),
        "examples": (BATCH, HIDDEN),
        "tokens": (6, HIDDEN),
    }
    return {name: normal(*names[name], seed=i) for i, name in enumerate(names)}


def case_run(case):
    carry = normal(BATCH, HIDDEN, seed=11) if case.carry is None else case.carry()
    xs = normal(TIME, BATCH, INPUT, seed=12) if case.xs is None else case.xs()
    return Run(case.step, weights(), carry, xs)


def z_of(p, h, x):
    return x @ p["w"] + h @ p["u"] + p["b"]


def activated(activation):
    def step(p, h, x):
        h = activation(z_of(p, h, x))
        return h, h

    return step


def nested_jit(p, h, x):
    h = jax.jit(lambda p, h, x: jnp.tanh(jax.jit(z_of)(p, h, x)))(p, h, x)
    return h, h


def masked(p, h, inputs):
    x, counts = inputs
    h = jnp.where(counts[:, None], jnp.tanh(z_of(p, h, x)), h)
    return h, jnp.where(counts[:, None], h, 0)


def in_a_row(p, h, x):
    a = jnp.tanh(z_of(p, h, x))
    h = jnp.tanh(a @ p["v"])
    return h, h @ p["out"]


def cayley(p, h, x):
    skew, one = p["u"] - p["u"].T, jnp.eye(HIDDEN)
    h = jnp.tanh(x @ p["w"] + h @ jnp.linalg.solve(one + skew, one - skew))
    return h, h


def masked_weight(p, h, x):
    h = jnp.tanh(z_of(p | {"u": p["u"] * jnp.tri(HIDDEN, dtype=x.dtype)}, h, x))
    return h, h


def weight_norm(p, h, x):
    u = p["b"] * p["u"] / jnp.linalg.norm(p["u"], axis=0)
    h = jnp.tanh(x @ p["w"] + h @ u)
    return h, h


def read_twice(p, h, x):
    z = z_of(p, h, x)
    h = jnp.tanh(z) + 0.1 * z
    return h, z


def in_two_sums(p, h, x):
    z = h @ p["u"]
    n = jnp.tanh(x @ p["w"] + z)
    h = jnp.tanh(z + n)
    return h, n


def subtracted(p, h, x):
    h = jnp.tanh(p["b"] - x @ p["w"] + -(1.5 - h @ p["u"]))
    return h, h


def same_operand(p, h, x):
    h = jnp.tanh(x @ p["w"] + h @ p["u"] - h @ p["v"].T)
    return h, h


def overlapping(p, h, x):
    z = x @ p["wide_w"] + h @ p["wide_u"]
    a, b = jnp.tanh(z[:, :HIDDEN]), jax.nn.sigmoid(z[:, 3:])
    h = a * b[:, :HIDDEN] + b[:, -1:]
    return h, h


def strided(p, h, x):
    z = x @ p["wide_w"] + h @ p["wide_u"]
    h = jnp.tanh(z[:, ::2]) + z[:1, :HIDDEN]
    return h, h


def merged(p, h, x):
    i = jax.nn.sigmoid(x @ p["w"] + h @ p["u"] + p["b"])
    g = jnp.tanh(x @ p["tall"][:INPUT] + h @ p["v"])
    h = i * h + (1 - i) * g
    return h, h


def concatenated(p, h, x):
    h = jnp.tanh(jnp.concatenate([x, h], axis=-1) @ p["tall"] + p["examples"] + 1.0)
    return h, h


def einsum(p, h, x):
    z = jnp.einsum("dh,bd->hb", p["w"], x) + (h @ p["u"]).T
    h = jnp.tanh(z.T) + jnp.einsum("bk,hk->bh", h, p["v"])
    return h, h


def features_first(p, h, x):
    h = jnp.tanh(p["w"].T @ x + p["u"] @ h + p["b"][:, None])
    return h, h


def one_feature(p, h, x):
    h = jnp.tanh(x @ p["w"][:1] + h @ p["u"])
    return h, h


def many_kinds(p, carry, inputs):
    x, token = inputs
    key, now = jax.random.split(carry["key"])
    kept = jax.random.bernoulli(now, 0.7, carry["h"].shape)
    z = x @ p["w"] + carry["h"] @ p["u"] + p["tokens"][token]
    h = jnp.where(kept, jnp.tanh(z + carry["fixed"]), 0)
    after = {"h": h, "fixed": carry["fixed"], "key": key, "count": carry["count"] + 1}
    return after, {"h": h, "token": token, "count": carry["count"], "none": None}


def kinds():
    return {
        "h": normal(BATCH, HIDDEN),
        "fixed": normal(BATCH, HIDDEN, seed=1),
        "key": jax.random.key(7),
        "count": jnp.zeros((), jnp.int32),
    }


def no_y(p, h, x):
    return jnp.tanh(z_of(p, h, x)), None


def constant_y(p, h, x):
    h = jnp.tanh(z_of(p, h, x))
    return h, (p["b"], 1.0, x)


def matrix_in_carry(p, carry, x):
    h, u = carry
    h = jnp.tanh(x @ p["w"] + h @ u)
    return (h, u + 0.1 * h.T @ h), h


def loop_inside(p, h, x):
    h = jax.lax.fori_loop(0, 2, lambda _, h: jnp.tanh(h @ p["u"]), h)
    h = jnp.tanh(h + x @ p["w"])
    return h, h


def examples_inside(p, h, x):
    h = jnp.tanh(z_of(p, h, x) + jnp.einsum("bh,bh->b", h, p["examples"])[:, None])
    return h, h


STEPS = {
    "jit in jit": Case(nested_jit),
    "relu": Case(activated(jax.nn.relu)),
    "silu": Case(activated(jax.nn.silu)),
    "gelu": Case(activated(jax.nn.gelu)),
    "where": Case(
        masked,
        xs=lambda: (
            normal(TIME, BATCH, INPUT, seed=12),
            jnp.arange(TIME)[:, None] % 3 < jnp.arange(BATCH),
        ),
    ),
    "in a row": Case(in_a_row, (BOTH, (U,), (f"{H} @ {HIDDEN}x2",))),
    "Cayley": Case(cayley),
    "mask on weights": Case(masked_weight),
    "weight norm": Case(weight_norm),
    "z read twice": Case(read_twice),
    "z in two sums": Case(in_two_sums, ((U,), (W,))),
    "minus": Case(subtracted),
    "one operand twice": Case(same_operand, ((W, U, U),)),
    "slices overlap": Case(overlapping, ((f"{X} @ 4x12", f"{H} @ 5x12"),)),
    "strided": Case(strided, ((f"{X} @ 4x10", f"{H} @ 5x10"),)),
    "gates apart": Case(merged, ((f"{X} @ 4x10", f"{H} @ 5x10"),)),
    "concatenated": Case(concatenated),
    "einsum": Case(einsum, (BOTH, (U,))),
    "features first": Case(
        features_first,
        (("float64[4,3] @ 4x5", "float64[5,3] @ 5x5"),),
        carry=lambda: normal(HIDDEN, BATCH),
        xs=lambda: normal(TIME, INPUT, BATCH, seed=12),
    ),
    "one input feature": Case(
        one_feature,
        (("float64[3,1] @ 1x5", U),),
        xs=lambda: normal(TIME, BATCH, 1, seed=12),
    ),
    "rank 1": Case(
        activated(jnp.tanh),
        (("float64[4] @ 4x5", "float64[5] @ 5x5"),),
        carry=lambda: normal(HIDDEN),
        xs=lambda: normal(TIME, INPUT, seed=12),
    ),
    "two batch axes": Case(
        activated(jnp.tanh),
        (("float64[2,3,4] @ 4x5", "float64[2,3,5] @ 5x5"),),
        carry=lambda: normal(2, BATCH, HIDDEN),
        xs=lambda: normal(TIME, 2, BATCH, INPUT, seed=12),
    ),
    "integers and keys": Case(
        many_kinds,
        carry=kinds,
        xs=lambda: (
            normal(TIME, BATCH, INPUT, seed=12),
            jnp.arange(TIME * BATCH, dtype=jnp.int32).reshape(TIME, BATCH) % 6,
        ),
    ),
    "no y": Case(no_y),
    "constant y": Case(constant_y),
    "matrix in the carry": Case(
        matrix_in_carry,
        ((W,),),
        carry=lambda: (normal(BATCH, HIDDEN), normal(HIDDEN, HIDDEN)),
    ),
    "loop inside": Case(loop_inside, ((W,),), refused=1),
    "product of examples": Case(examples_inside, refused=1),
}
