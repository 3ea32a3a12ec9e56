"""Families: the table, the criteria and the sentence, of records made by hand."""

import numpy as np
import pytest

import lstm_jax as lj
from experiments import families
from experiments.common import records
from experiments.common.records import Quantity
from experiments.common.variants import variants_of
from experiments.criteria.families import CONTRACTING, checks
from experiments.figures.families import NAMES, finding

LAG = 4


def record_of(rates, right, window=6):
    """Gradients of exactly e^(rate lag), one rate a cell, the same at both stages."""
    cells = list(rates)
    curve = np.arange(LAG + 2.0) * np.array([*rates.values()])[:, None]
    shares = np.broadcast_to(curve[:, None, None, None], (len(cells), 2, 2, 3, LAG + 2))
    of_networks = np.broadcast_to(np.array(right)[:, None, None], (len(cells), 2, 2))
    networks = ("variant", "stage", "seed")
    arrays = {
        "log_share": Quantity(shares, (*networks, "example", "lag"), "nats"),
        "accuracy": Quantity(of_networks, networks, "1"),
        "window": Quantity(np.full((len(cells), 2, 2), window), networks, "steps"),
    }
    variants = [variants_of(cell, ["matched"], LAG)[0].entry for cell in cells]
    axes = {"variant": variants, "stage": ["initial", "trained"]}
    config = {"lag": LAG, "forget_bias": ["matched"]}
    return records.new("families", config, 0.0, arrays, axes)


@pytest.fixture(scope="module")
def record(smoke):
    return smoke("families")


def test_both_biases_are_measured_and_the_last_is_drawn(record):
    shares = record.arrays["log_share"].values
    assert shares.shape == (2, 2, 2, 4, 6)
    np.testing.assert_array_equal(shares[..., 0], 0)
    # A gate at rest keeps σ(b_f) a step: 3/4 over the lag, or σ(1)^4 = .286.
    left = np.exp(np.median(shares[:, 0, ..., 4], axis=(1, 2)))
    np.testing.assert_allclose(left, [0.286, 0.75], rtol=0.2)
    (row,) = record.rows
    assert (row["cell"], row["family"]) == ("min_gru", "linear")
    assert row["b_f"] == record.axes["variant"][1]["bias"]
    assert row["right at other b_f"].endswith("at 1")
    windows = record.arrays["window"].values
    assert (windows >= 1).all() and (windows <= 6).all()


@pytest.mark.parametrize(
    ("rates", "right", "holds"),
    [
        ({"exp_rnn": 0.0, "lru": -0.1}, (1, 1), [True, True, True, True]),
        ({"exp_rnn": -1e-4, "lru": 1e-3}, (1, 1), [False, False, True, True]),
        ({"exp_rnn": 0.0, "lru": -2.0}, (1, 1), [True, True, False, True]),
        ({"exp_rnn": 0.0, "lru": -2.0}, (1, 0.5), [True, True, True, True]),
        ({"rnn": -1.0, "lstm": -0.1}, (0.5, 0.5), []),
    ],
)
def test_criteria(rates, right, holds):
    assert [check.holds for check in checks(record_of(rates, right))] == holds


def test_an_update_of_fewer_steps_than_the_scene_is_back_fails():
    heard, window = checks(record_of({"lstm": -0.1}, (1,), window=LAG - 1))
    assert heard.holds and not window.holds
    assert window.ours.startswith("0 of 2")


def test_the_figure_says_who_learns_and_what_they_have_left():
    rates = {"rnn": -np.log(10), "lstm": -0.25 * np.log(2), "lru": -np.log(10) / 2}
    made = record_of(rates, (0.5, 1, 0.5))
    assert finding(made) == (
        "1 of 3 cells learn to look back 4 images; trained, they have 0.5 of the "
        "gradient left there, the others 1.0e-04 to 0.01"
    )
    figure = families.plot(made)
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    # In view is the decade of the LSTM's; what falls below is written.
    below = {"RNN (0 of 2)\nleft: 1.0e-04", "LRU (0 of 2)\nleft: 0.01"}
    assert {"LSTM (2 of 2)", *below} <= {*words}
    assert figure.axes[0].get_ylim()[0] == -1


def test_every_cell_has_a_name_and_linear_cells_contract():
    assert {*NAMES} == {*families.CELLS}
    linear = {c for c in families.CELLS if lj.CELLS[c].transition is not None}
    assert {*CONTRACTING} == linear
