"""The settings of `experiments.train`, and which of them a run must keep."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import optax

import lstm_jax as lj
from experiments.common import cli, variants
from experiments.common.cli import ConfigError, Kind, option
from experiments.common.own_data_flags import TABLE, TEXT, OwnData, settle
from experiments.train import refusals
from lstm_jax.training import sharding

OPTIMIZERS = {"adam": optax.adam, "rmsprop": optax.rmsprop, "sgd": optax.sgd}
SCHEDULES = ("constant", "cosine", "warmup_cosine")
WARM_UP = 0.1  # share of the updates in which the learning rate goes up
DTYPES = ("float32", "float64", "bfloat16", "mixed")
NO_CLIP = "none"
# A checkpoint takes about 0.1 s on a local disk, and longer on a slow or busy one.
SECONDS_BETWEEN_CHECKPOINTS = 10.0
SHARE_OF_TIME = 0.01  # the most that checkpoints may take of the run
# A resumed run may train for longer and save at other times; the rest is fixed.
FREE = (
    "num_steps",
    "checkpoint_interval",
    "keep_checkpoints",
    "success_loss",
    "fork",
    "tensorboard",
)
ADDED = {  # and what was done before
    "schedule": "constant",
    "weight_decay": 0.0,
    "num_layers": 1,
    "bidirectional": False,
    "dropout": 0.0,
    "valid": None,
    "patience": None,
    "init": None,
    **{each.name: each.default for each in fields(OwnData)},
}
# It may also use other devices, on which its numbers are the same up to rounding.
WHERE = ("mesh",)


def a_mesh() -> Kind:
    """Devices along the axes of a mesh, as `sharding.parse_mesh` reads them."""

    def parse(text):
        sharding.parse_mesh(text)
        return text

    def holds(value):
        try:
            return isinstance(value, str) and bool(sharding.parse_mesh(value))
        except ValueError:
            return False

    return Kind(sharding.ALLOWED, parse, holds, sharding.ALLOWED)


@dataclass(frozen=True)
class Config(OwnData):
    """What is trained; every field is a flag."""

    task: str = option(
        "adding",
        cli.one_of((*lj.TASKS, TABLE, TEXT)),
        "the task to learn",
    )
    cell: str = option("lstm", cli.one_of(lj.CELLS), "the cell that learns it")
    hidden_size: int = option(32, cli.integer(minimum=1), "units in the cell")
    num_layers: int = option(
        1, cli.integer(minimum=1), "cells on top of one another, of --hidden_size each"
    )
    bidirectional: bool = option(
        False,
        cli.switch(),
        "each layer reads the sequence forwards and backwards: answers at every step "
        "see what comes later, one at the last step is read where both directions end",
    )
    dropout: float = option(
        0.0,
        cli.number_in("[0, 1)"),
        "of the outputs of every layer in training, between layers and before the "
        "readout, anew at every step",
    )
    length: int = option(100, cli.integer(minimum=1), "steps in a sequence")
    start_length: int | None = option(
        None,
        cli.optional(cli.integer(minimum=1)),
        "steps in the first sequences, which grow to --length over --curriculum_steps",
    )
    curriculum_steps: int | None = option(
        None, cli.optional(cli.integer(minimum=1)), "updates over which sequences grow"
    )
    batch_size: int = option(
        32, cli.integer(minimum=1), "sequences per update; 1 is online training"
    )
    num_steps: int = option(2000, cli.integer(minimum=0), "updates")
    stop_after: int | None = option(
        None,
        cli.optional(cli.integer(minimum=1)),
        "stop once this many training sequences in a row have been right",
    )
    optimizer: str = option("adam", cli.one_of(OPTIMIZERS), "the optimiser")
    learning_rate: float = option(3e-3, cli.number(above=0), "of the optimiser")
    schedule: str = option(
        "constant",
        cli.one_of(SCHEDULES),
        "of the learning rate over --num_steps: cosine goes down to 0, warmup_cosine "
        f"first up, in {WARM_UP:.0%} of the updates",
    )
    weight_decay: float = option(
        0.0,
        cli.number(least=0),
        "of AdamW, on matrices and not on biases; share of the learning rate",
    )
    clip: float | str = option(
        1.0,
        cli.either(NO_CLIP, cli.number(above=0)),
        "global norm above which gradients are scaled down before the optimiser",
    )
    forget_bias: float | None = option(
        None,
        cli.optional(cli.number()),
        "of the forget gate (the cell's default if not given)",
    )
    dtype: str = option(
        "float32",
        cli.one_of(DTYPES),
        "of all weights; 'mixed' multiplies in bfloat16 and keeps memory in float32",
    )
    init: str | None = option(
        None,
        cli.optional(cli.text()),
        "file of weights to begin with, of any format that explain reads, or the --out "
        "of a finished run; a readout that doesn't fit is made anew",
    )
    fork: str | None = option(
        None,
        cli.optional(cli.text()),
        "the --out of a run from whose newest checkpoint this one goes on, in a folder "
        "of its own and with flags that may differ",
    )
    seed: int = option(0, cli.seed(), "everything random follows from it")
    num_seeds: int = option(
        1, cli.integer(minimum=1), "runs side by side, with seeds seed, seed + 1, ..."
    )
    success_loss: float | None = option(
        None,
        cli.optional(cli.number()),
        "a seed succeeds if its test loss is at most this",
    )
    test_size: int = option(1000, cli.integer(minimum=1), "sequences per test")
    eval_interval: int | None = option(
        None,
        cli.optional(cli.integer(minimum=1)),
        "updates between tests, logged with the metrics, and between validations; a "
        "multiple of --log_interval",
    )
    valid: float | None = option(
        None,
        cli.optional(cli.number_in("(0, 1)")),
        "share of the training data, at its end, held out to choose the best weights; "
        "of a task that makes up its data --test_size fresh sequences",
    )
    patience: int | None = option(
        None,
        cli.optional(cli.integer(minimum=1)),
        "a seed ends after this many validations without a better loss; with --valid",
    )
    log_interval: int = option(
        10, cli.integer(minimum=1), "updates between logged lines"
    )
    tensorboard: bool = option(
        False, cli.switch(), "also log to --out/tensorboard, for TensorBoard"
    )
    checkpoint_interval: int | None = option(
        None,
        cli.optional(cli.integer(minimum=1)),
        "updates between checkpoints; if not given, one every "
        f"{SECONDS_BETWEEN_CHECKPOINTS:g} s, or less often if they would take more "
        f"than {SHARE_OF_TIME:.0%} of the time",
    )
    keep_checkpoints: int = option(
        3, cli.integer(minimum=1), "how many of the newest checkpoints to keep"
    )
    mesh: str | None = option(
        None,
        cli.optional(a_mesh()),
        "devices over which to split batch and seeds, data:4,seed:2, or batch and "
        "large weights, unit:2; if not given, one device, or with several processes "
        "the batch over all devices",
    )

    def __post_init__(self) -> None:
        """Checks each field, then the combinations."""
        super().__post_init__()
        settle(self)
        refusals.check_curriculum(self)
        refusals.check_directions(self)
        if seeds(self)[-1] > cli.SEED_MAX:
            raise ConfigError(
                f"seed: got {self.seed} with num_seeds={self.num_seeds}; the last seed "
                f"must be at most {cli.SEED_MAX}"
            )
        if self.eval_interval and self.eval_interval % self.log_interval:
            raise ConfigError(
                f"eval_interval: got {self.eval_interval}; it must be a multiple of "
                f"log_interval, {self.log_interval}"
            )
        refusals.check_validation(self)
        if self.init is not None and self.fork is not None:
            raise ConfigError(
                f"init: got {self.init!r} with fork; only one of them says where the "
                "run begins, and the other must not be given"
            )
        if self.weight_decay and self.optimizer != "adam":
            raise ConfigError(
                f"weight_decay: got {self.weight_decay}; it must be 0 for the "
                f"optimizer {self.optimizer!r}: only adam has it"
            )
        if self.forget_bias is not None and self.cell not in variants.HAS_FORGET_BIAS:
            raise ConfigError(
                f"forget_bias: got {self.forget_bias}; it must not be given for the "
                f"cell {self.cell!r}, which has none"
            )


def identity(config: Config) -> dict[str, Any]:
    """Returns the fields that a run must keep when it is resumed."""
    free = {*_free(config), *WHERE}
    # Runs from before there were these fields go on.
    free |= {name for name, plain in ADDED.items() if getattr(config, name) == plain}
    return {name: value for name, value in asdict(config).items() if name not in free}


def _free(config: Config) -> tuple[str, ...]:
    """Returns the free fields; a schedule ends with the run, so it fixes its length."""
    scheduled = config.schedule != "constant"
    return tuple(name for name in FREE if not (scheduled and name == "num_steps"))


def with_free_defaults(config: Config) -> Config:
    """Returns one configuration for all runs that differ only in the free fields."""
    defaults = {each.name: each.default for each in fields(config)}
    return replace(config, **{name: defaults[name] for name in _free(config)})


def seeds(config: Config) -> range:
    """Returns the seed of each run."""
    return range(config.seed, config.seed + config.num_seeds)
