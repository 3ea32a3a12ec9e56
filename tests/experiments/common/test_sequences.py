"""A sequence of one's own on a command line: flags, verdict and record."""

from typing import Any

import jax
import numpy as np
import pytest

import lstm_jax as lj
from experiments import explain, gradient_decay
from experiments.common import sequences
from experiments.common.cli import ConfigError
from experiments.common.records import take
from experiments.explain import models
from lstm_jax.training.checkpoints import named_arrays

PASSENGERS = [112.0, 118, 132, 129, 121, 135, 148, 148, 136, 119]
TEXT = "Month;Passengers\n" + "".join(
    f"1949-{month:02d};{number:g}\n" for month, number in enumerate(PASSENGERS, 1)
)


@pytest.fixture
def weights(tmp_path):
    arrays: Any = named_arrays(lj.GRU.init(jax.random.key(0), 1, 3))
    np.savez(tmp_path / "w.npz", **arrays)
    return str(tmp_path / "w.npz")


def config(path, **options):
    return gradient_decay.Config(sequence=str(path), **options)


def refused(path, **options):
    with pytest.raises(ConfigError) as caught:
        sequences.read(config(path, **options))
    return str(caught.value)


def settings_of(folder, weights, text, **options):
    (folder / "mine.csv").write_text(text)
    options = {"num_examples": 2, "sequence": str(folder / "mine.csv")} | options
    return explain.Config(weights=weights, **options)


def explained(folder, weights, text, **options):
    return explain.run(settings_of(folder, weights, text, **options))


def read_for(folder, weights, text, **options):
    """What `explain` hands to the network that it explains."""
    settings = settings_of(folder, weights, text, **options)
    return models.sequences_of(settings, models.read_model(settings))


def standardised_text():
    of = np.array(PASSENGERS)
    of = (of - of.mean()) / of.std(ddof=1)
    return "Month;Passengers\n" + "".join(
        f"1949-{month:02d};{number:.12g}\n" for month, number in enumerate(of, 1)
    )


def test_raw_and_standardised_columns_are_the_same_inputs(tmp_path, weights):
    raw = read_for(tmp_path, weights, TEXT)
    standardised = read_for(tmp_path, weights, standardised_text())
    np.testing.assert_allclose(raw.inputs, standardised.inputs, rtol=1e-5, atol=1e-6)
    assert np.std(raw.inputs) == pytest.approx(1, rel=1e-5)


@pytest.mark.slow
def test_raw_and_standardised_columns_give_the_same_verdict(tmp_path, weights):
    raw = explained(tmp_path, weights, TEXT)
    standardised = explained(tmp_path, weights, standardised_text())
    assert raw.verdict == standardised.verdict
    assert raw.rows == standardised.rows
    np.testing.assert_allclose(
        take(raw, "log_share"), take(standardised, "log_share"), rtol=1e-4
    )


@pytest.mark.slow
def test_the_verdict_and_the_record_say_what_was_done(tmp_path, weights):
    record = explained(tmp_path, weights, TEXT)
    notes = [
        "column 'Month' holds dates: left out",
        "standardized: every column has mean 0 and standard deviation 1",
    ]
    line = "; ".join(["  read:     10 steps of 'Passengers'", *notes])
    assert line in record.verdict
    assert record.config["columns"] == ["Passengers"]
    assert record.config["notes"] == notes
    assert record.config["scale"] == "standardize"


@pytest.mark.slow
def test_as_it_is_a_sequence_saturates_and_the_verdict_names_the_flag(
    tmp_path, weights
):
    record = explained(tmp_path, weights, TEXT, scale="none")
    (line,) = (line for line in record.verdict if line.startswith("  inputs:"))
    assert line.startswith("  inputs:   up to 148; they saturate ")
    assert "--scale=standardize" in line
    assert record.config["notes"] == ["column 'Month' holds dates: left out"]


def test_too_many_columns_for_the_weights_are_named(tmp_path, weights):
    with pytest.raises(ConfigError) as caught:
        read_for(tmp_path, weights, "a,b\n1,3\n2,5\n4,4\n")
    assert str(caught.value).endswith(
        "has 2 features per step, 'a', 'b'; it must have 1, for these weights: "
        "--columns=NAME,... takes some"
    )
    found = read_for(tmp_path, weights, "a,b\n1,3\n2,5\n4,4\n", columns=("b",))
    assert found.columns == ("b",) and found.inputs.shape == (3, 2, 1)


@pytest.mark.parametrize(("several", "examples"), [(3, 7), (5, 2)])
def test_sequences_side_by_side_are_examples_in_turn(
    tmp_path, weights, several, examples
):
    values = np.random.default_rng(0).normal(size=(6, several, 1))
    np.save(tmp_path / "x.npy", values)
    options: dict[str, Any] = {"scale": "none", "num_examples": examples}
    settings = explain.Config(
        weights=weights, sequence=str(tmp_path / "x.npy"), **options
    )
    model = models.read_model(settings)
    found = models.sequences_of(settings, model)
    for example in range(examples):
        np.testing.assert_array_equal(
            found.inputs[:, example], values[:, example % several].astype(np.float32)
        )
    assert found.what.startswith("the first 2 of 5") == (several > examples)


@pytest.mark.slow
def test_sequences_side_by_side_are_all_watched(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(6, 3, 2)))
    record = gradient_decay.run(
        config(tmp_path / "x.npy", cells=("rnn",), hidden_size=4, num_seeds=1)
    )
    assert take(record, "log_share").shape == (1, 1, 1, 3, 6)
    assert any("3 sequences of 6 steps of '1', '2'" in line for line in record.verdict)


def test_remedies_are_flags(tmp_path):
    path = tmp_path / "columns=.csv"
    path.write_text("a,b\n1,2\n,3\n4,NW\n")
    message = refused(path)
    assert message.startswith(f"sequence: {str(path)!r}, line 4, column 'b': got 'NW';")
    assert message.endswith("others: --columns=a")
    assert "--missing=forward" in refused(path, columns=("a",))
    done = sequences.read(config(path, columns=("a",), missing="drop", scale="none"))
    assert done.values.tolist() == [[[1]], [[4]]]


def test_a_number_beyond_the_dtype_of_the_weights_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("1\n3.4e38\n")
    settings = config(tmp_path / "a.csv", scale="none", dtype="bfloat16")
    with pytest.raises(ConfigError, match=r"got 3.4e\+38; it must be finite in bf"):
        sequences.read(settings, settings.dtype)


def test_columns_without_a_sequence_are_refused():
    for module in (explain, gradient_decay):
        with pytest.raises(ConfigError, match="columns: got a,b; it must not be given"):
            options: Any = {"weights": "w.npz"} if module is explain else {}
            module.Config(columns=("a", "b"), **options)


def test_several_files_are_scaled_as_one_and_cut_to_the_last_steps(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n2\n3\n4\n5\n6\n")
    (tmp_path / "b.csv").write_text("x\n7\n8\n9\n10\n")
    both = f"{tmp_path}/a.csv,{tmp_path}/b.csv"
    raw = sequences.read(config(both, scale="none"))
    np.testing.assert_array_equal(raw.values[..., 0].T, [[3, 4, 5, 6], [7, 8, 9, 10]])
    assert raw.notes == ("each is cut to its last 4 steps, of the shortest",)
    found = sequences.read(config(both)).values
    np.testing.assert_allclose([found.mean(), found.std()], [0, 1], atol=1e-12)


@pytest.mark.slow
def test_the_spread_of_several_sequences_is_told(tmp_path, weights):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(6, 2, 1)))
    both = str(tmp_path / "x.npy")
    record = explain.run(explain.Config(weights=weights, sequence=both, num_examples=2))
    (line,) = (line for line in record.verdict if line.startswith("  spread:"))
    assert line.startswith("  spread:   in the middle half of 2 measurements ")


def test_files_of_other_columns_and_one_that_is_missing_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n2\n")
    (tmp_path / "b.csv").write_text("y\n1\n2\n")
    message = refused(f"{tmp_path}/a.csv,{tmp_path}/b.csv")
    assert message.endswith(f"columns y; it must have those of '{tmp_path}/a.csv', x")
    assert "c.csv' can't be read" in refused(f"{tmp_path}/a.csv,{tmp_path}/c.csv")
