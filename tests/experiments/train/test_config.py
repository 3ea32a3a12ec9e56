"""Settings of experiments.train that do not go together."""

import pytest

from experiments import train
from experiments.common.cli import ConfigError


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"start_length": 9, "length": 6, "curriculum_steps": 3}, "at most length, 6"),
        (
            {"start_length": 2, "length": 5, "curriculum_steps": 2**30},
            "^curriculum_steps: got 1073741824; it must be at most 715827882 for",
        ),
        ({"seed": 2**32 - 1, "num_seeds": 2}, "last seed must be at most 4294967295"),
    ],
)
def test_settings_of_a_run_that_do_not_go_together(fields, told):
    with pytest.raises(ConfigError, match=told):
        train.Config(**fields)
