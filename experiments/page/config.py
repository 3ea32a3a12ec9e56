"""The settings of `experiments.page`."""

from dataclasses import dataclass

from experiments.common import cli
from experiments.common.cli import ConfigError, option
from experiments.common.variants import MATCHED

NAME = "page"
MOST_UNITS = 32  # what a page computes while a slider is dragged
MOST_STEPS = 64  # in a strip


@dataclass(frozen=True)
class Config(cli.Flags):
    """What the page shows; every field is a flag."""

    checkpoint: str | None = option(
        None,
        cli.optional(cli.text()),
        "the --out of experiments.train on nature_show, or one of its checkpoints, "
        "whose network is shown in place of that of the same cell",
    )
    of_seed: int | None = option(
        None,
        cli.optional(cli.seed()),
        "which network, if the run trained several seeds",
    )
    lag: int = option(
        20,
        cli.integer(minimum=1, maximum=MOST_STEPS - 2),
        "steps between scene and question",
    )
    forget_bias: float | str = option(
        MATCHED,
        cli.either(MATCHED, cli.number()),
        f"of the forget gate before training; {MATCHED!r} is the one whose carousel "
        "keeps 3/4 over the lag",
    )
    hidden_size: int = option(
        MOST_UNITS,
        cli.integer(minimum=1, maximum=MOST_UNITS),
        "units of a cell",
    )
    num_seeds: int = option(
        3, cli.integer(minimum=1), "networks per cell, of which the best is shown"
    )
    num_steps: int = option(600, cli.integer(minimum=1), "training updates")
    batch_size: int = option(64, cli.integer(minimum=1), "shows per update")
    learning_rate: float = option(5e-3, cli.number(above=0), "for Adam")
    seed: int = option(0, cli.seed(), "everything random follows from it")

    def __post_init__(self) -> None:
        """Checks each field, then that a seed is one of a run."""
        super().__post_init__()
        if self.of_seed is not None and self.checkpoint is None:
            raise ConfigError(
                f"of_seed: got {self.of_seed}; it must not be given without a "
                "checkpoint"
            )
