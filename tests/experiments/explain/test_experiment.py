"""experiments.explain: its record, its figure and its options."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from weight_files import HIDDEN, INPUT, LAG, lstm_params, refusal, save_npz

from experiments import explain
from experiments.common import records
from experiments.common.records import take

FILES = Path(__file__).parents[2] / "files"


def with_half_lives(record, values):
    of_units = record.arrays["half_life"]._replace(values=values)
    return record._replace(arrays=record.arrays | {"half_life": of_units})


def test_a_record_draws_its_panels_and_comes_back_from_disk(of_two_layers, tmp_path):
    half_lives = take(of_two_layers, "half_life").copy()
    half_lives[0, 0, :2] = 0, np.inf  # of gates that are 0, and 1
    record = with_half_lives(of_two_layers, half_lives)
    records.save(record, Figure(), tmp_path / "out")
    figure = explain.plot(records.load(tmp_path / "out"))
    gates, gradient, answer = figure.axes
    assert np.asarray(answer.lines[0].get_ydata())[-1] == pytest.approx(1)
    assert len(gates.lines) == 3  # two layers and the lag
    assert gradient.get_title(loc="left") == "How far back the gradient reaches"
    assert "white noise" in figure.get_supxlabel()
    assert json.loads((tmp_path / "out" / "record.json").read_text())["rows"]


def test_where_every_unit_keeps_all_the_panel_says_so(of_two_layers):
    lasting = np.full_like(take(of_two_layers, "half_life"), np.inf)
    gates, *_ = explain.plot(with_half_lives(of_two_layers, lasting)).axes
    assert "every unit keeps all it holds" in [text.get_text() for text in gates.texts]
    assert gates.get_xlim() == (0.5, HIDDEN + 0.5)
    assert gates.get_ylim() == (1, 10 * LAG)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {},
            "file, torch, weights, checkpoint: got [None, None, None, None]; it must",
        ),
        (
            {"torch": "a", "weights": "b"},
            "file, torch, weights, checkpoint: got [None, 'a', 'b', N",
        ),
        ({"torch": "a.pt"}, "torch: 'a.pt' can't be read (No such file or"),
        ({"file": "a.keras"}, "file: 'a.keras' can't be read (No such file or"),
        ({"torch": "a.safetensors"}, "torch: 'a.safetensors' can't be read (No such"),
        ({"weights": "a.npz"}, "weights: 'a.npz' can't be read (No such file"),
        ({"checkpoint": "a"}, "checkpoint: 'a' can't be read (No such file"),
        ({"weights": "a.npz", "of_seed": 1}, "of_seed: got 1; it must not be given"),
        (
            {"weights": "a.npz", "lag": 1},
            "lag: got 1; it must be an integer, at least 2",
        ),
    ],
)
def test_options_are_refused_in_one_line(options, message):
    assert refusal(lambda: explain.run(explain.Config(**options))).startswith(message)


def test_a_sequence_must_fit_the_weights(tmp_path):
    weights = save_npz(tmp_path / "w.npz", lstm_params([1.0]))
    np.save(tmp_path / "x.npy", np.zeros((5, INPUT)))
    np.save(tmp_path / "wide.npy", np.zeros((5, INPUT + 1)))
    mine, wide = str(tmp_path / "x.npy"), str(tmp_path / "wide.npy")

    def run(**options: Any):
        return refusal(lambda: explain.run(explain.Config(weights=weights, **options)))

    assert "has 3 features per step, '1', '2', '3'; it must have 2, for" in run(
        sequence=wide
    )
    assert run(sequence=mine, lag=5).startswith("lag: got 5; it must be in [2, 4]")
    assert "No such file" in run(sequence=str(Path(tmp_path) / "none.npy"))


@pytest.mark.slow
def test_passengers_raw_and_standardised_give_one_verdict_and_saturated_ones_say_so(
    tmp_path,
):
    raw = FILES / "airline-passengers.csv"
    values = np.loadtxt(raw, delimiter=",", skiprows=1, usecols=1)
    np.save(tmp_path / "scaled.npy", (values - values.mean()) / values.std())

    def told(sequence, **options):
        config = explain.Config(
            file=str(FILES / "airline_lstm.safetensors"),
            sequence=str(sequence),
            num_examples=2,
            **options,
        )
        verdict = explain.run(config).verdict
        # But for the name of the file, and what was done to it.
        return [line for line in verdict[2:] if not line.startswith("  read:")]

    assert told(raw) == told(tmp_path / "scaled.npy", scale="none")
    (line,) = (of for of in told(raw, scale="none") if of.startswith("  inputs:"))
    assert "which are then 0 or ±1 whatever is remembered: --scale=standardize" in line
