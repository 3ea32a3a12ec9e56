"""The records of experiments/reference, as anyone reads them: NumPy and json alone."""

import json
from pathlib import Path

import numpy as np
import pytest

REFERENCE = Path(__file__).parents[2] / "experiments" / "reference"
FOLDERS = sorted(path.parent for path in REFERENCE.glob("*/record.json"))
NAMES = [folder.name for folder in FOLDERS]


def opened(folder):
    described = json.loads((folder / "record.json").read_text())
    with np.load(folder / "record.npz") as stored:
        return described, {name: stored[name] for name in stored.files}


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_every_array_names_its_axes_and_its_unit(folder):
    described, arrays = opened(folder)
    assert described["experiment"] == folder.name
    assert set(described["arrays"]) == set(arrays)
    for name, array in arrays.items():
        about = described["arrays"][name]
        assert set(about) == {"axes", "unit"}
        lengths = tuple(len(described["axes"][axis]) for axis in about["axes"])
        assert array.shape == lengths, name
        assert isinstance(about["unit"], str) and about["unit"]
        assert array.dtype.kind in "fib", name


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_an_axis_is_used_and_its_variants_are_told_apart(folder):
    described, _ = opened(folder)
    used = {axis for of in described["arrays"].values() for axis in of["axes"]}
    assert used == set(described["axes"])
    variants = described["axes"].get("variant", [])
    labels = [variant["label"] for variant in variants]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_the_files_of_a_record_are_there_and_small(folder):
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert {"record.json", "record.npz", "figure.png"} <= set(sizes)
    assert all(size < 1_000_000 for size in sizes.values())


def test_of_the_decay_curves_the_axes_are_those_that_are_promised():
    described, arrays = opened(REFERENCE / "gradient_decay")
    about, axes = described["arrays"], described["axes"]
    curves = ["variant", "stage", "seed", "example", "lag"]
    assert about["log_share"] == {"axes": curves, "unit": "nats"}
    assert about["accuracy"] == {"axes": curves[:3], "unit": "1"}
    labels = [variant["label"] for variant in axes["variant"]]
    assert labels == ["rnn", "lstm b_f=4.46", "four_gate b_f=4.46"]
    assert axes["stage"] == ["initial", "trained"]
    assert axes["lag"] == list(range(27))
    assert (arrays["log_share"][..., 0] == 0).all()
    # What the table says of the LSTM, read by hand.
    at = labels.index("lstm b_f=4.46"), axes["stage"].index("trained")
    row = next(
        row
        for row in described["rows"]
        if (row["cell"], row["when"]) == ("lstm b_f=4.46", "trained")
    )
    assert row["accuracy"].startswith(f"{arrays['accuracy'][at].mean():.2f}")
    # Cells without a forget gate have no carousel.
    has_carousel = np.isfinite(arrays["log_carousel"]).all((1, 2, 3, 4))
    cells = [variant["cell"] for variant in axes["variant"]]
    assert has_carousel.tolist() == [cell != "rnn" for cell in cells]


def test_the_demo_shows_what_it_says():
    described, arrays = opened(REFERENCE / "gradient_decay")
    trained = described["axes"]["stage"].index("trained")
    rnn, lstm, four_gate = arrays["accuracy"][:, trained]
    assert len(rnn) >= 3 and 20 <= described["config"]["lag"] <= 40
    assert (rnn <= 0.6).all()
    assert (lstm >= 0.95).all() and (four_gate >= 0.95).all()
