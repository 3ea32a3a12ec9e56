"""--schedule and --weight_decay: the run is that of optax's own optimiser."""

from typing import Any

import jax
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose
from problems import slow_but

import lstm_jax as lj
from experiments import train
from experiments.common.cli import ConfigError
from experiments.train import saved_run
from experiments.train.config import identity
from lstm_jax.training.checkpoints import named_arrays

NUM_STEPS, RATE = 12, 0.05
SMALL: dict[str, Any] = {
    "task": "parity",
    "cell": "rnn",
    "hidden_size": 3,
    "length": 4,
    "batch_size": 2,
    "num_steps": NUM_STEPS,
    "learning_rate": RATE,
    "clip": "none",
    "log_interval": 4,
    "test_size": 2,
}
MATRICES = lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params)
CASES = {
    "cosine": optax.adam(optax.cosine_decay_schedule(RATE, NUM_STEPS)),
    "warmup_cosine": optax.adam(
        optax.warmup_cosine_decay_schedule(0.0, RATE, 2, NUM_STEPS)
    ),
    "weight decay": optax.adamw(RATE, weight_decay=0.3, mask=MATRICES),
}


@pytest.mark.parametrize("case", slow_but(["weight decay"], CASES))
def test_a_run_is_that_of_the_optimiser_of_optax(tmp_path, case):
    changed: Any = {"weight_decay": 0.3} if " " in case else {"schedule": case}
    config = train.Config(**SMALL, **changed)
    train.run(config, tmp_path)
    assert identity(saved_run.read_run(str(tmp_path), None).config) == identity(config)
    state, _ = lj.train(
        jax.random.key(0),
        lj.RNN,
        lj.tasks.PARITY,
        CASES[case],
        hidden_size=3,
        num_steps=NUM_STEPS,
        batch_size=2,
        length=4,
    )
    with np.load(tmp_path / "final.npz") as found:
        for name, wanted in named_arrays(state.params).items():
            assert_allclose(found[name], wanted, rtol=0, atol=1e-6)


def test_a_schedule_ends_with_the_run_so_the_run_keeps_its_length():
    longer: Any = SMALL | {"num_steps": 2 * NUM_STEPS}
    kept = [identity(train.Config(**fields)) for fields in (SMALL, longer)]
    assert kept[0] == kept[1]
    fixed = [
        identity(train.Config(**fields, schedule="cosine"))
        for fields in (SMALL, longer)
    ]
    assert fixed[0] != fixed[1]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"schedule": "step"}, "schedule: got 'step'; it must be one of constant, cos"),
        ({"weight_decay": -1.0}, "weight_decay: got -1.0; it must be a finite number"),
        (
            {"weight_decay": 0.1, "optimizer": "sgd"},
            "weight_decay: got 0.1; it must be 0 for the optimizer 'sgd'",
        ),
    ],
)
def test_bad_settings_end_in_one_line(changed, message):
    fields: Any = SMALL | changed
    with pytest.raises(ConfigError, match=message):
        train.Config(**fields)
