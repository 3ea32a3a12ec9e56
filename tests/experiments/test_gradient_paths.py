"""The experiment `gradient_paths`, small: what it writes, and that its parts add up."""

import json
import math
from functools import partial
from typing import Any

import numpy as np
import pytest

from experiments import gradient_paths
from experiments.common import records
from experiments.common.cli import ConfigError
from experiments.common.records import Quantity, take
from experiments.common.variants import Variant

INF, NAN = math.inf, math.nan

SMALL: dict[str, Any] = {
    "lag": 4,
    "hidden_size": 5,
    "num_seeds": 2,
    "num_examples": 3,
    "rendering": "vectors",
}


@pytest.fixture(scope="module")
def record(made_once):
    config = gradient_paths.Config(**SMALL, num_steps=2, batch_size=4)
    make = partial(gradient_paths.run, config)
    return made_once("small_paths", make, gradient_paths.plot)


def test_a_row_and_a_verdict_per_bias_and_stage(record):
    stages = [(row["cell"], row["when"]) for row in record.rows]
    labels = ["lstm b_f=1", "lstm b_f=2.6"]
    assert stages == [(b, when) for b in labels for when in ("initial", "trained")]
    assert sum("an update is made of the last" in line for line in record.verdict) == 4
    # -1 / ln σ(1) = 3.19; σ(1)^4 = 0.286
    assert record.rows[0]["-1/ln σ(b_f)"] == "3.2"
    assert record.rows[0]["σ(b_f)^lag"] == "0.29"
    assert len(record.rows[0]["effective window"].split()) == 2


def test_arrays_count_the_lag_from_the_last_step(record):
    at = {"variant": record.axes["variant"][0], "stage": "trained"}
    assert record.axes["path"] == "cell i f g o".split()
    shares = take(record, "path_share", **at)
    assert shares.shape == (5, 2, 3, 6)  # path, seed, example, lag
    np.testing.assert_allclose(shares.sum(0), 1, rtol=1e-5)
    total, carousel, rest = take(record, "log_share", **at)
    np.testing.assert_array_equal(total[..., 0], 0)
    np.testing.assert_array_equal(carousel[..., 0], 0)
    np.testing.assert_array_equal(rest[..., 0], -np.inf)
    assert np.isfinite(rest[..., 1:]).all()
    assert take(record, "time_constant", **at).shape == (2, 5)
    assert take(record, "log_contribution", **at).shape == (2, 6)


def test_the_carousel_fades_with_the_time_constants(record):
    """Near zero weights one number says both: the carousel loses 1/τ per step."""
    at = {"variant": record.axes["variant"][1], "stage": "initial"}
    carousel = np.median(take(record, "log_share", part="carousel", lag=4, **at))
    tau = np.median(take(record, "time_constant", **at))
    assert abs(carousel + 4 / tau) < 0.25 * 4 / tau


def test_the_figure_draws_from_a_record_that_was_saved(record):
    saved = record._replace(config=json.loads(json.dumps(record.config)))
    axes = gradient_paths.plot(saved).axes
    assert len(axes) == 2 * 5
    assert [len(a.get_lines()) for a in axes[:2]] == [6, 6]  # five paths and the scene


def test_a_cell_that_never_forgets_has_no_end(record):
    """As of lstm97, untrained: no forget bias, no second stage, time constants inf."""
    constants = record.arrays["time_constant"]
    untrained = record._replace(
        arrays=record.arrays
        | {"time_constant": constants._replace(values=np.full((1, 1, 2, 5), np.inf))},
        axes=record.axes
        | {"variant": [Variant("lstm97", None, 0).entry], "stage": ["initial"]},
    )
    (row,) = gradient_paths.rows(untrained)
    assert (row["cell"], row["σ(b_f)^lag"]) == ("lstm97", "1")
    assert (row["time constant"], row["-1/ln σ(b_f)"]) == ("inf [inf, inf]", "inf")
    assert len(gradient_paths.plot(untrained).axes) == 3


@pytest.mark.parametrize("cell", ["rnn", "indrnn", "tree"])
def test_a_cell_without_a_carousel_is_refused(cell):
    with pytest.raises(
        ConfigError, match=f"cell: got '{cell}'; it must be .*four_gate"
    ):
        gradient_paths.Config(cell=cell)


def test_a_path_of_nothing_and_a_bias_that_no_exponential_holds():
    variant = Variant("lstm", -1000.0, 0, "-1000")
    assert variant.carousel_rate == -1000
    networks = ("variant", "stage", "seed")
    curves = ("variant", "stage", "part", "seed", "example", "lag")
    paths = ("variant", "stage", "path", *curves[3:])
    found = {
        "path_share": Quantity(np.zeros((1, 1, 1, 1, 2, 5)), paths, "1"),
        "log_share": Quantity(np.full((1, 1, 2, 1, 2, 5), -INF), curves, "nats"),
        "time_constant": Quantity(np.zeros((1, 1, 1, 3)), (*networks, "unit"), "steps"),
        "log_contribution": Quantity(
            np.full((1, 1, 1, 5), NAN), (*networks, "lag"), "nats"
        ),
        "accuracy": Quantity(np.full((1, 1, 1), 0.5), networks, "1"),
    }
    axes = {
        "variant": [variant.entry],
        "stage": ["initial"],
        "path": ["cell"],
        "part": ["total", "carousel"],
    }
    record = records.new("gradient_paths", {"lag": 3}, 0.0, found, axes)
    (row,) = gradient_paths.rows(record)
    assert row["σ(b_f)^lag"] == "1.3e-1303"  # e^-3000
    assert (row["total"], row["effective window"]) == ("nothing", "-")
    line = gradient_paths.verdict(record)[-1]
    assert "nothing of the whole is left at the lag" in line
    assert "nan" not in line
