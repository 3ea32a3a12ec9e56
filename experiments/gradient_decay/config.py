"""The settings of `experiments.gradient_decay`."""

from dataclasses import dataclass

import lstm_jax as lj
from experiments.common import cli, sequences
from experiments.common.cli import ConfigError, option
from experiments.common.own_data_flags import (
    OwnTable,
    refuse_given,
    settle_table,
)
from experiments.common.variants import (
    FORGET_BIASES,
    MATCHED,
    TAUGHT,
    WHAT_MATCHED_IS,
)
from lstm_jax import initializers
from lstm_jax.cells.rnn import ACTIVATIONS
from lstm_jax.tasks.nature_show import RENDERINGS

DEFAULT_LAG = 25


@dataclass(frozen=True)
class Config(OwnTable):
    """What is measured; every field is a flag."""

    cells: tuple[str, ...] = option(TAUGHT, cli.list_of(cli.one_of(lj.CELLS)), "cells")
    panels: str = option(
        "bear",
        cli.one_of(("bear", "all")),
        "the figure: the memory of the bear and its gradient, where networks are "
        "trained on the show; or every curve, before and after training",
    )
    lag: int | None = option(
        None,
        cli.optional(cli.integer(minimum=1)),
        f"steps between scene and question ({DEFAULT_LAG} if not given); with "
        "--sequence or --data the lag of the verdict (its longest if not given)",
    )
    hidden_size: int = option(32, cli.integer(minimum=1), "units of a cell")
    num_seeds: int = option(3, cli.integer(minimum=1), "networks per cell")
    num_steps: int = option(
        400,
        cli.integer(minimum=0),
        "training updates; with 0, or a --sequence, nothing is trained",
    )
    batch_size: int = option(64, cli.integer(minimum=1), "sequences per update")
    learning_rate: float = option(3e-3, cli.number(above=0), "for Adam")
    recorder: int = option(
        0,
        cli.integer(minimum=0),
        "updates between two recordings of the curve during training, drawn as a "
        "picture of training time and lag; 0 for none",
    )
    gain: float = option(1.0, cli.number(), "factor on the recurrent weights")
    forget_bias: tuple[float | str, ...] | None = option(
        None,
        cli.optional(FORGET_BIASES),
        f"biases of the forget gate, compared ({MATCHED} alone if not given; where the "
        f"figure has all panels, 1 and {MATCHED}); {WHAT_MATCHED_IS}",
    )
    activation: str = option("tanh", cli.one_of(ACTIVATIONS), "for the RNN")
    recurrent_init: str = option(
        "orthogonal", cli.one_of(initializers.INITIALIZERS), "recurrent weights"
    )
    rendering: str = option("digits", cli.one_of(RENDERINGS), "the images")
    sequence: str | None = sequences.sequence_option("measured instead of the show")
    num_examples: int = option(32, cli.integer(minimum=1), "test sequences measured")
    dtype: str = option(
        "float32", cli.one_of(("float32", "float64", "bfloat16")), "for all weights"
    )
    seed: int = option(0, cli.seed(), "everything random follows from it")

    def __post_init__(self) -> None:
        """Checks each field, and those that depend on one another."""
        super().__post_init__()
        settle_table(self, ("target", "window", "horizon", "file_sha256"))
        if self.data is None:
            sequences.check_flags(self)
        else:
            refuse_given(self, ("sequence", "rendering"), "with --data")
        if self.recorder and not self.trains:
            raise ConfigError(
                f"recorder: got {self.recorder}; it must be 0 with num_steps=0 or a "
                "sequence, where nothing is trained"
            )
        if self.recorder and self.num_steps % self.recorder:
            raise ConfigError(
                f"recorder: got {self.recorder}; it must divide num_steps, "
                f"{self.num_steps}"
            )

    @property
    def shows_the_bear(self) -> bool:
        """Whether the figure is that of the memory of the bear."""
        return self.panels == "bear" and self.trains and self.data is None

    @property
    def biases(self) -> tuple[float | str, ...]:
        """The forget biases that are compared."""
        if self.forget_bias is not None:
            return self.forget_bias
        return (MATCHED,) if self.shows_the_bear else (1.0, MATCHED)

    @property
    def trains(self) -> bool:
        """Whether networks are trained; nothing can be learnt from a sequence."""
        return self.sequence is None and self.num_steps > 0
