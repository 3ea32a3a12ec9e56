"""When `experiments.cliff` shows the cliff and the clip of Pascanu et al. (2013)."""

import numpy as np

from experiments.common.records import Record, take
from experiments.common.rows import Check
from lstm_jax import theory

DIRECTION = 1e-9  # of the cosine: what rounding leaves of 1


def checks(record: Record) -> list[Check]:
    """Returns the criteria: all are exact, and the same at every size."""
    return [*_walks(record), _saddle_nodes(record), *_wall(record)]


def _walks(record: Record) -> list[Check]:
    errors = {
        name: take(record, "walk_error", walk=name) for name in ("plain", "clipped")
    }
    plain, clipped = (errors[name][-1] for name in errors)
    return [
        Check(
            "error after a walk from the wall, clipped steps against plain ones",
            "a clipped step stays near the wall (algorithm 1, figure 6)",
            f"{clipped:.3g} against {plain:.3g}",
            bool(clipped < plain),
        )
    ]


def _saddle_nodes(record: Record) -> Check:
    found = take(record, "saddle_node_b")
    exact = np.array(theory.saddle_nodes(record.config["w"]))
    apart = np.abs(found - exact).max()
    return Check(
        "b of the saddle-nodes of x = w σ(x) + b, within 1e-8 of theory",
        "two bifurcations along b at w = 5 (figure 3)",
        f"{found[0]:.9f} and {found[1]:.9f}, {apart:.0e} from theory",
        bool(apart <= 1e-8),
    )


def _wall(record: Record) -> list[Check]:
    config = record.config
    wall = theory.cliff_bias(config["w"])
    exact = np.array(
        theory.logistic_map_gradient(config["w"], wall, num_steps=config["num_steps"])
    )
    found = take(record, "wall_gradient")
    steps = {
        name: np.diff(take(record, "walk", walk=name)[:2], axis=0)[0]
        for name in ("plain", "clipped")
    }
    plain, clipped = (np.hypot(*step) for step in steps.values())
    expected = config["learning_rate"] * np.hypot(*exact)
    limit = min(expected, config["learning_rate"] * config["max_norm"])
    cosine = np.dot(steps["plain"], steps["clipped"]) / (plain * clipped)
    return [
        Check(
            "dE/db on the wall, within 0.1 % of theory",
            "",
            f"{found[1]:.3f}, theory {exact[1]:.3f}",
            bool(abs(found[1] / exact[1] - 1) <= 1e-3),
        ),
        Check(
            "length of one plain step from the wall, within 0.1 % of theory",
            "",
            f"{plain:.4g} = ({steps['plain'][0]:+.3g}, {steps['plain'][1]:+.3g}), "
            f"theory {expected:.4g}",
            bool(abs(plain / expected - 1) <= 1e-3),
        ),
        Check(
            "clipped step: as long as learning rate times norm, same direction",
            "",
            f"{clipped:.6g}, cosine {cosine:.12g}",
            bool(abs(clipped / limit - 1) <= 1e-9 and abs(cosine - 1) <= DIRECTION),
        ),
    ]
