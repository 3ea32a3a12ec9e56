"""The settings of `experiments.explain`."""

from dataclasses import dataclass

from experiments.common import cli, sequences
from experiments.common.cli import ConfigError, option

DEFAULT_LAG = 200
SOURCES = ("file", "torch", "weights", "checkpoint")


@dataclass(frozen=True)
class Config(cli.Flags):
    """What to explain; every field is a flag."""

    file: str | None = option(
        None,
        cli.optional(cli.text()),
        "the weights, in any format that lj.adapters.load takes, or the --out of "
        "experiments.train; may be given without --file=",
        positional=True,
    )
    torch: str | None = option(
        None,
        cli.optional(cli.text()),
        "FILE.safetensors, the state dict of a torch.nn.LSTM or GRU, or of a module "
        "that contains one",
    )
    weights: str | None = option(
        None, cli.optional(cli.text()), "FILE.npz, params of lj.LSTM or lj.GRU by path"
    )
    checkpoint: str | None = option(
        None,
        cli.optional(cli.text()),
        "the --out of experiments.train, one of its checkpoints, or its final.npz",
    )
    of_seed: int | None = option(
        None,
        cli.optional(cli.seed()),
        "which network, if the run trained several seeds",
    )
    module: str | None = option(
        None,
        cli.optional(cli.text()),
        "which of several modules in the file, the prefix of its keys; or several as "
        "one stack, bottom to top: encoder.rnn1,encoder.rnn2",
    )
    sequence: str | None = sequences.sequence_option("read instead of white noise")
    columns: tuple[str, ...] | None = sequences.columns_option()
    missing: str = sequences.missing_option()
    scale: str = sequences.scale_option()
    lag: int | None = option(
        None,
        cli.optional(cli.integer(minimum=2)),
        f"how many steps to look back; if not given, {DEFAULT_LAG} on noise, and all "
        "steps of a sequence",
    )
    num_examples: int = option(
        16, cli.integer(minimum=1), "random directions, each with its own inputs"
    )
    seed: int = option(0, cli.seed(), "everything random follows from it")

    def __post_init__(self) -> None:
        """Checks each field, then that there is exactly one model."""
        super().__post_init__()
        sequences.check_flags(self)
        given = [getattr(self, name) for name in SOURCES]
        if sum(path is not None for path in given) != 1:
            raise ConfigError(
                f"{', '.join(SOURCES)}: got {given}; it must be exactly one file or "
                "folder, such as model.safetensors"
            )

    @property
    def source(self) -> str:
        """The field that names the model."""
        return next(name for name in SOURCES if getattr(self, name) is not None)
