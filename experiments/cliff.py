"""The cliff and the clip: why one gradient step can throw a network away.

Question: what does the error surface of a recurrent unit look like, how steep is its
wall, and where do a plain and a clipped gradient step from the wall end?

  python -m experiments.cliff
  python -m experiments.cliff --w=6 --num_updates=1000

What is drawn. One logistic unit without input, x_t = w σ(x_{t-1}) + b from x_0 = 1/2,
after 50 steps: E = (σ(x_50) - 0.7)² over (w, b), by `lj.unroll` in float64. The wall is
the line b*(w) = 1/2 - w σ(1/2) on which the start is an unstable fixed point: the two
sides of it fall to different stable states. Gradient descent starts on the wall, with
and without clipping by the global norm. Below, a section through the surface, and the
fixed points of the unit, which appear and vanish in two saddle-nodes.

Expected (all exact, `lstm_jax.theory`): saddle-nodes at w = 5: b = -2.65561034 and
-2.34438966; at b*(5) = -2.612296656 the gradient is multiplied by 1.17501856 at every
step, 3178.60 in all, so dE/dw = -411.871 and dE/db = -661.683. A plain step at learning
rate 0.01 moves (w, b) by (+4.12, +6.62), a distance of 7.79; clipped to norm 1 it moves
0.01 in the same direction. The plain step lands on a plateau, at E = 0.09; the clipped
walk descends to E = 0.

Row 3 of docs/results.md: `./scripts/reproduce --only=cliff`.

Sources: Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063, figures 3
and 6 and algorithm 1.
"""

from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from scipy.optimize import elementwise
from scipy.special import expit

import lstm_jax as lj
from experiments.common import cli, memory_limit
from experiments.common.cli import option
from experiments.common.laws import Found, record_of
from experiments.common.records import Quantity, Record, take
from experiments.common.rows import Row
from experiments.criteria.cliff import checks
from experiments.figures.cliff import START, STEEPEST_FLAT_W, plot
from lstm_jax import theory

NAME = "cliff"
CELL = lj.rnn("logistic")
TARGET = 0.7
WINDOW_W, WINDOW_B = (3.0, 10.0), (-6.0, 5.0)
WALKS = ("plain", "clipped")
COORDINATES = ("w", "b")


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is measured; every field is a flag."""

    w: float = option(
        5.0, cli.number(above=STEEPEST_FLAT_W), "weight at which the walks start"
    )
    num_steps: int = option(50, cli.integer(minimum=1), "steps of the unit")
    learning_rate: float = option(0.01, cli.number(above=0), "for gradient descent")
    max_norm: float = option(1.0, cli.number(above=0), "norm to which it is clipped")
    num_updates: int = option(2000, cli.integer(minimum=1), "updates of each walk")
    resolution: int = option(301, cli.integer(minimum=3), "points per axis")


ROW = Row(
    number="3",
    title="the cliff and the clip",
    source="Pascanu, Mikolov & Bengio (2013), figures 3 and 6, algorithm 1, "
    "https://arxiv.org/abs/1211.5063",
    # Nothing is random and the paper's setting takes seconds: it is the default.
    sizes={
        "smoke": {"resolution": 9},
        "standard": {},
        "paper": {},
    },
    checks=checks,
)


def run(config: Config) -> Record:
    """Measures the surface, the wall and the walks, and returns the record."""
    surface = "resolution", "resolution"
    sizes = [(*surface, "num_steps"), (*surface, 4), ("num_updates", len(WALKS), 2)]
    memory_limit.check(asdict(config), sizes, itemsize=8)
    parts = {
        "the surface": _surfaces,
        "the section": _section,
        "the wall": _wall,
        "the walks": _walks,
        "the fixed points": _branches,
    }
    with jax.enable_x64(True):
        record = record_of(NAME, config, parts)
    return record._replace(rows=_rows(config, record), verdict=_verdict(config, record))


def params_at(w: Any, b: Any) -> lj.RNNParams:
    """Returns the unit y_t = σ(w y_{t-1} + b), where y = σ(x)."""
    w, b = jnp.reshape(w, (1, 1)), jnp.reshape(b, (1,))
    return lj.RNNParams(w_ih=jnp.zeros((1, 1)), w_hh=w, b=b)


def error(params: lj.RNNParams, num_steps: int) -> Float[Array, ""]:
    """Returns E = (σ(x_T) - 0.7)² = (y_T - 0.7)²."""
    _, ys = lj.unroll(CELL, params, jnp.zeros((num_steps, 1)), _start())
    return (ys[-1, 0] - TARGET) ** 2


def _start() -> lj.RNNCarry:
    return lj.RNNCarry(h=jax.nn.sigmoid(jnp.full((1,), START)))


def _error_and_gradient(config: Config, w: Any, b: Any) -> tuple[Array, lj.RNNParams]:
    """Returns errors and gradients at many points, leaves (point, ...)."""
    at_point = lambda w, b: jax.value_and_grad(error)(params_at(w, b), config.num_steps)
    return jax.jit(jax.vmap(at_point))(jnp.asarray(w), jnp.asarray(b))


def _surfaces(config: Config) -> Found:
    """Measures the error over a wide window and close to the wall."""
    wall = float(theory.cliff_bias(config.w))
    near = (config.w - 0.6, config.w + 0.1), (wall - 0.1, wall + 0.4)
    windows = {
        "far_error": (("far_w", "far_b"), (WINDOW_W, WINDOW_B)),
        "near_error": (("near_w", "near_b"), near),
    }
    at_point = lambda w, b: error(params_at(w, b), config.num_steps)
    at_points = jax.jit(jax.vmap(jax.vmap(at_point)))
    arrays, entries = {}, {}
    for name, (axes, window) in windows.items():
        w, b = (np.linspace(*ends, config.resolution) for ends in window)
        errors = at_points(*jnp.meshgrid(jnp.asarray(w), jnp.asarray(b)))
        arrays[name] = Quantity(np.asarray(errors, np.float32), axes[::-1], "1")
        entries |= zip(axes, (w.tolist(), b.tolist()), strict=True)
    return Found(arrays, entries)


def _section(config: Config) -> Found:
    """Measures error and gradient along b, at the weight of the start."""
    wall = theory.cliff_bias(config.w)
    # Ever finer towards the wall: the steeper the gradient, the narrower the wall.
    offsets = np.geomspace(1e-7, 0.06, config.resolution)
    b = np.concatenate([wall - offsets[::-1], [wall], wall + offsets])
    errors, gradient = _error_and_gradient(config, np.full_like(b, config.w), b)
    norms = np.hypot(gradient.w_hh[:, 0, 0], gradient.b[:, 0])
    return Found(
        arrays={
            "section_error": Quantity(np.asarray(errors), ("section_b",), "1"),
            "section_gradient_norm": Quantity(norms, ("section_b",), "1"),
        },
        axes={"section_b": b.tolist()},
    )


def _wall(config: Config) -> Found:
    """Measures the gradient, and how a perturbation grows, where the walks start."""
    params = params_at(config.w, theory.cliff_bias(config.w))
    gradient = jax.grad(error)(params, config.num_steps)
    # y = σ(x), and x_T = x_0 on the wall: dy_T/dy_0 is dx_T/dx_0.
    silence, last = jnp.zeros((config.num_steps, 1)), lambda ys: ys[-1, 0]
    log_norms = lj.log_gradient_norms(CELL, params, silence, last, _start())
    of_both = np.array([gradient.w_hh[0, 0], gradient.b[0]])
    growth = np.asarray(np.exp(log_norms.h[0]))
    return Found(
        arrays={
            "wall_gradient": Quantity(of_both, ("coordinate",), "1"),
            "wall_growth": Quantity(growth, (), "1"),
        },
        axes={"coordinate": COORDINATES},
    )


def _walks(config: Config) -> Found:
    walks = np.stack([_walk(config, name) for name in WALKS])
    errors = [
        theory.logistic_map_error(*points.T, num_steps=config.num_steps)
        for points in walks
    ]
    return Found(
        arrays={
            "walk": Quantity(walks, ("walk", "update", "coordinate"), "1"),
            "walk_error": Quantity(np.stack(errors), ("walk", "update"), "1"),
        },
        axes={"walk": WALKS, "coordinate": COORDINATES},
    )


def _walk(config: Config, name: str) -> Float[np.ndarray, "update 2"]:
    """Returns (w, b) on the wall, before the first update, and after every update."""
    plain = optax.sgd(config.learning_rate)
    clipped = optax.chain(optax.clip_by_global_norm(config.max_norm), plain)
    transformation = {"plain": plain, "clipped": clipped}[name]
    params = params_at(config.w, theory.cliff_bias(config.w))

    def update(walked, _):
        params, state = walked
        gradient = jax.grad(error)(params, config.num_steps)
        updates, state = transformation.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    walk = lambda params: jax.lax.scan(
        update, (params, transformation.init(params)), length=config.num_updates
    )
    _, visited = jax.jit(walk)(params)
    points = np.stack([visited.w_hh[:, 0, 0], visited.b[:, 0]], axis=-1)
    return np.concatenate([[[config.w, theory.cliff_bias(config.w)]], points])


def _branches(config: Config) -> Found:
    """Traces the fixed points, b(x) = x - w σ(x), and finds where the curve folds."""
    curve = lambda x: x - config.w * expit(x)
    turn = elementwise.find_minimum(
        lambda x, sign: sign * curve(x),
        (np.array([0.0, -8.0]), np.array([1.0, -1.0]), np.array([8.0, 0.0])),
        args=(np.array([1.0, -1.0]),),
    )
    x = np.linspace(-8.0, 8.0, 1601)
    slope = config.w * expit(x) * expit(-x)
    return Found(
        arrays={
            "branch_b": Quantity(curve(x), ("x",), "1"),
            "branch_slope": Quantity(slope, ("x",), "1"),
            "saddle_node_b": Quantity(curve(turn.x), ("saddle_node",), "1"),
        },
        axes={"x": x.tolist(), "saddle_node": ["lower", "upper"]},
    )


def _rows(config: Config, record: Record) -> list[dict[str, str]]:
    w, num_steps = config.w, config.num_steps
    wall = theory.cliff_bias(w)
    exact = theory.logistic_map_gradient(w, wall, num_steps=num_steps)
    steepness = np.hypot(exact.w, exact.b)
    plain = -config.learning_rate * np.array([exact.w, exact.b])
    kept = min(1.0, config.max_norm / steepness)
    first = {name: take(record, "walk", walk=name)[:2] for name in WALKS}
    steps = {name: after - before for name, (before, after) in first.items()}
    lengths = {name: np.hypot(*steps[name]) for name in WALKS}
    cosine = np.dot(steps["plain"], steps["clipped"]) / np.prod([*lengths.values()])
    folds, nodes = take(record, "saddle_node_b"), theory.saddle_nodes(w)
    gradient = take(record, "wall_gradient")
    growth = theory.cliff_multiplier(w) ** num_steps
    compared = {
        "lower saddle-node, b": (folds[0], nodes.lower),
        "upper saddle-node, b": (folds[1], nodes.upper),
        f"dx_{num_steps}/dx_0 on the wall": (take(record, "wall_growth"), growth),
        "dE/dw on the wall": (gradient[0], exact.w),
        "dE/db on the wall": (gradient[1], exact.b),
        "plain step in w": (steps["plain"][0], plain[0]),
        "plain step in b": (steps["plain"][1], plain[1]),
        "length of the plain step": (lengths["plain"], np.hypot(*plain)),
        "length of the clipped step": (lengths["clipped"], kept * np.hypot(*plain)),
        "cosine between them": (cosine, 1.0),
    }
    return [
        {"quantity": name, "measured": f"{found:.9g}", "exact": f"{wanted:.9g}"}
        for name, (found, wanted) in compared.items()
    ]


def _verdict(config: Config, record: Record) -> list[str]:
    ends = {name: take(record, "walk", walk=name)[-1] for name in WALKS}
    errors = {name: take(record, "walk_error", walk=name) for name in WALKS}
    before, after, *_ = take(record, "walk", walk="plain")
    first = np.hypot(*(after - before))
    return [
        "",
        f"On the wall at w = {config.w:g} one plain step goes {first:.3g} far; after "
        f"{config.num_updates} updates:",
        *(
            f"  {name + ':':<9} (w, b) = ({ends[name][0]:+.3f}, {ends[name][1]:+.3f}), "
            f"error {errors[name][0]:.3g} -> {errors[name][-1]:.3g}"
            for name in WALKS
        ),
    ]


if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
