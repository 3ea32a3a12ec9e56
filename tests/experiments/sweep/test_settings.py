"""What is swept: grids, draws, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from small_sweeps import changed

from experiments import sweep
from experiments.common.cli import ConfigError
from experiments.sweep import experiment, settings
from experiments.sweep.config import SWEEPABLE
from experiments.sweep.settings import drawn, grid, parse

QUARTERS = (0.25, 0.5, 0.75)


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(experiment, "train_part", lambda *_: pytest.fail("it trained"))


def test_a_grid_has_every_combination_the_last_field_fastest():
    swept = parse("cell=rnn,gru; learning_rate=1e-3,2;clip=none", SWEEPABLE)
    assert grid(swept) == [
        {"cell": cell, "learning_rate": rate, "clip": "none"}
        for cell in ("rnn", "gru")
        for rate in (1e-3, 2.0)
    ]


def draws(text, count, seed=0):
    return drawn(parse(text, SWEEPABLE), count, seed)


def test_draws_are_even_in_the_logarithm_or_in_the_value():
    found = draws(
        "learning_rate=log:1e-4:1;forget_bias=uniform:-1:3;cell=rnn,gru", 2000
    )
    rates = np.array([setting["learning_rate"] for setting in found])
    biases = np.array([setting["forget_bias"] for setting in found])
    # Standard errors of these shares are 0.011.
    assert_allclose(
        [(rates < x).mean() for x in (1e-3, 1e-2, 0.1)], QUARTERS, atol=0.05
    )
    assert_allclose([(biases < x).mean() for x in (0, 1, 2)], QUARTERS, atol=0.05)
    assert abs(np.mean([s["cell"] == "rnn" for s in found]) - 0.5) < 0.05
    assert (
        (rates >= 1e-4).all() and (rates <= 1).all() and (np.abs(biases - 1) <= 2).all()
    )
    # What a table shows can be given to --sweep again.
    assert all(float(f"{rate:.4g}") == rate for rate in rates)


def test_draws_are_different_follow_from_the_seed_and_keep_integers():
    found = draws("hidden_size=log:2:6", 5)
    assert sorted(setting["hidden_size"] for setting in found) == [2, 3, 4, 5, 6]
    assert all(isinstance(setting["hidden_size"], int) for setting in found)
    assert (
        found == draws("hidden_size=log:2:6", 5) != draws("hidden_size=log:2:6", 5, 1)
    )
    assert draws("cell=rnn,gru", 1, 3) == draws("cell=rnn,gru", 2, 3)[:1]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            {"sweep": "rate=1"},
            r"sweep: got the field 'rate'; it must be one of task, ce",
        ),
        (
            {"sweep": "num_seeds=1,2"},
            "sweep: got the field 'num_seeds'; it must be one",
        ),
        ({"sweep": "seed=1;cell=rnn;seed=2"}, "sweep: got the field 'seed' twice"),
        ({"sweep": "seed"}, "sweep: got 'seed'; it must be FIELD=VALUE"),
        ({"sweep": "seed=1;"}, "sweep: got ''; it must be FIELD=VALUE"),
        ({"sweep": ""}, "sweep: got ''; it must be text"),
        (
            {"sweep": "seed="},
            "seed: got no value to sweep; it must be an integer, at le",
        ),
        ({"sweep": "seed=1,,2"}, "seed: got ''; it must be an integer, at least 0"),
        ({"sweep": "seed=1,-1"}, "seed: got '-1'; it must be an integer, at least 0"),
        ({"sweep": "cell=lst"}, "cell: got 'lst'; it must be one of rnn"),
        (
            {"sweep": "learning_rate=0"},
            "learning_rate: got '0'; it must be a finite num",
        ),
        (
            {"sweep": "learning_rate=nan"},
            "learning_rate: got 'nan'; it must be a finite",
        ),
        ({"sweep": "clip=1,some"}, "clip: got 'some'; it must be .*, or 'none'"),
        ({"sweep": "clip=1,1.0"}, "clip: got 1,1.0; its values must be different"),
        ({"sweep": "seed=uniform:0:9"}, "seed: got the range uniform:0:9; .* --random"),
        ({"sweep": "cell=lstm,rnn;forget_bias=1"}, "forget_bias: got 1.0; it must not"),
        ({"sweep": "length=2,1;seed=1"}, "length: got 1"),
        ({"sweep": "mesh=seed:1"}, "sweep: got the field 'mesh'; it must be one of"),
        ({"mesh": "seed:999"}, "mesh: got 'seed:999', 999 devices; it must be at most"),
        (
            {"eval_interval": 10},
            "eval_interval: got 10; it must not be given to a sweep",
        ),
        (
            {"learning_rate": -1.0},
            "learning_rate: got -1.0; it must be a finite number",
        ),
    ],
)
def test_what_can_not_be_swept_is_one_line_before_anything_runs(
    values, told, no_training
):
    with pytest.raises(ConfigError, match=told) as refused:
        sweep.run(changed(**values))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("forget_bias=log:0:1", "'log:0:1'; the ends of log must be above 0"),
        ("forget_bias=log:-1:1", "'log:-1:1'; the ends of log must be above 0"),
        ("clip=log:0:1", "clip: got '0'; it must be a finite number above 0"),
        ("clip=log:none:1", "clip: got 'log:none:1'; the ends must be numbers"),
        ("cell=uniform:rnn:gru", "cell: got .*; the ends must be numbers"),
        ("clip=log:1:1", "'log:1:1'; the first end must be the smaller"),
        ("clip=log:1", "'log:1'; a range must be log:LOW:HIGH or uniform:LOW:HIGH"),
        ("clip=lin:1:2", "'lin:1:2'; a range must be log:LOW:HIGH or uniform"),
        ("clip=log:1:inf", "clip: got 'inf'; it must be a finite number"),
        ("seed=log:1:2.5", "seed: got '2.5'; it must be an integer"),
        (
            "cell=rnn,gru;seed=1,2",
            "random: got 5; it must be at most 4, because --sweep",
        ),
    ],
)
def test_a_range_that_makes_no_sense_is_one_line(text, told):
    with pytest.raises(ConfigError, match=told):
        changed(sweep=text, random=5, cell="gru")


def test_more_settings_than_anyone_trains_are_refused():
    swept: settings.Swept = {name: tuple(range(101)) for name in "ab"}
    with pytest.raises(ConfigError, match="got 10201 settings; it must be at most"):
        settings.grid(swept)
