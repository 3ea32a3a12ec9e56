"""Sizes beyond the memory are refused by their names."""

import dataclasses

import pytest
from every_experiment import MODULES

from experiments.common import cli, memory_limit
from experiments.common.cli import ConfigError

# Numbers of updates, trials and files cost time, and no memory at once.
ONLY_TIME = (
    *("seed", "num_steps", "stop_after", "curriculum_steps", "max_trials", "at_once"),
    *("in_a_row", "mean_interval", "num_symbols", "most_symbols"),
    *("log_interval", "eval_interval", "checkpoint_interval", "keep_checkpoints"),
    *("start_length", "recorder", "random", "latch num_seeds", "flip_flop num_test"),
)
ALSO_SIZES = ("cliff num_steps", "lyapunov num_steps")


def sizes():
    for module in MODULES:
        for field in dataclasses.fields(module.Config):
            name = f"{module.NAME} {field.name}"
            is_size = field.name not in ONLY_TIME and name not in ONLY_TIME
            is_integer = "an integer" in field.metadata["kind"].hint
            if is_integer and (is_size or name in ALSO_SIZES):
                yield pytest.param(module, field, id=name)


@pytest.mark.parametrize(("module", "field"), list(sizes()))
def test_a_size_beyond_memory_is_refused_by_its_name(module, field):
    most = cli.INT32_MAX
    value = (most,) if isinstance(field.default, tuple) else most
    with pytest.raises(ConfigError) as caught:
        module.run(module.Config(**{field.name: value}))
    named, got, _ = str(caught.value).partition(": got ")
    assert got
    assert field.name in named.split(", ")
    assert "\n" not in str(caught.value)


def test_every_experiment_has_sizes():
    assert {param.values[0] for param in sizes()} == set(MODULES)


def test_what_fits_is_let_through_and_the_largest_array_is_named():
    given = {"lag": 1000, "units": 10**6}
    memory_limit.check(given, [("lag", 1000), ("lag", 3)])
    with pytest.raises(ConfigError, match=r"^lag, units: got 1000, 1000000, an array"):
        memory_limit.check(given, [("lag", 3), ("lag", "units", 100), ("units", 2)])


def test_an_array_may_fill_the_memory_and_no_more():
    entries = memory_limit.of_devices() // 8
    memory_limit.check({"n": entries}, [("n",)], itemsize=8)
    with pytest.raises(ConfigError, match="must fit into the memory"):
        memory_limit.check({"n": entries + 1}, [("n",)], itemsize=8)
