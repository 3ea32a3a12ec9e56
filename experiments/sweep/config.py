"""The flags of `experiments.sweep`: those of `experiments.train`, and what varies."""

import dataclasses
from dataclasses import asdict, dataclass, fields
from typing import Any

from experiments.common import cli
from experiments.common.cli import ConfigError, option
from experiments.common.own_data_flags import OwnData
from experiments.sweep.settings import MOST_SETTINGS, Setting, Swept, drawn, grid, parse
from experiments.train.config import WHERE
from experiments.train.config import Config as RunConfig

# These decide how a run is judged, not what it finds; and one file is learnt.
NOT_SWEPT = ("num_seeds", "test_size", "success_loss", "data", "text", "file_sha256")
# A sweep tests only at the end, and saves only finished parts.
WITHOUT_MEANING = (
    "eval_interval",
    "valid",
    "patience",
    "init",
    "fork",
    "tensorboard",
    "log_interval",
    "checkpoint_interval",
    "keep_checkpoints",
)
# A resumed sweep may be judged anew and use other devices; the rest is fixed.
FREE = ("success_loss", "success_accuracy", *WHERE)

SWEEPABLE = {
    field.name: field.metadata["kind"]
    for field in sorted(fields(RunConfig), key=lambda f: f in fields(OwnData))
    if field.name not in NOT_SWEPT + WITHOUT_MEANING + WHERE
}


def _default(name: str, value: Any) -> Any:
    """Returns the field of `experiments.train` with another default."""
    (field,) = (f for f in fields(RunConfig) if f.name == name)
    return dataclasses.field(default=value, metadata=field.metadata)


@dataclass(frozen=True)
class Config(RunConfig):
    """What is swept, and what all settings share; every field is a flag."""

    length: int = _default("length", 30)
    num_steps: int = _default("num_steps", 600)
    num_seeds: int = _default("num_seeds", 3)
    sweep: str = option(
        "learning_rate=1e-3,3e-3,1e-2,3e-2;forget_bias=0,1,3",
        cli.text(),
        "fields and their values, 'learning_rate=1e-3,1e-2;cell=lstm,gru'; with "
        "--random also ranges, log:LOW:HIGH or uniform:LOW:HIGH",
    )
    random: int | None = option(
        None,
        cli.optional(cli.integer(minimum=1, maximum=MOST_SETTINGS)),
        "how many settings to draw from --sweep, by --seed; if not given, all of them",
    )
    at_once: int = option(
        36,
        cli.integer(minimum=1),
        "runs side by side in one program, at least all seeds of a setting; a killed "
        "sweep loses no more than these",
    )
    success_accuracy: float = option(
        0.95,
        cli.number(),
        "a seed succeeds if its test accuracy is at least this; ignored if "
        "--success_loss is given",
    )

    def __post_init__(self) -> None:
        """Checks the flags and every setting of the sweep."""
        super().__post_init__()
        for field in fields(RunConfig):
            value = getattr(self, field.name)
            if field.name in WITHOUT_MEANING and value != field.default:
                raise ConfigError(
                    f"{field.name}: got {value!r}; it must not be given to a sweep, "
                    "which trains part after part, and tests and saves at the end of "
                    "each"
                )
        for setting in self.settings():
            run_config(self, setting)

    def swept(self) -> Swept:
        """Returns the values or range of each swept field."""
        return parse(self.sweep, SWEEPABLE)

    def settings(self) -> list[Setting]:
        """Returns the swept values of each setting."""
        if self.random is None:
            return grid(self.swept())
        return drawn(self.swept(), self.random, self.seed)


def run_config(config: Config, setting: Setting) -> RunConfig:
    """Returns the configuration of `experiments.train` for one setting's runs."""
    shared = {f.name: getattr(config, f.name) for f in fields(RunConfig)}
    if config.data is not None:
        del shared["length"]  # which is the window
    return RunConfig(**shared | setting)


def identity(config: Config) -> dict[str, Any]:
    """Returns the fields that a sweep must keep when it is resumed."""
    return {name: value for name, value in asdict(config).items() if name not in FREE}
