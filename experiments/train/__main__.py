"""The command of `experiments.train`."""

import sys

from absl import flags

from experiments.common import cli
from experiments.train import Config
from experiments.train.experiment import NAME, command
from experiments.train.processes import define_flags

if __name__ == "__main__":
    flags.DEFINE_boolean(
        "resume",
        False,
        "continue from the newest checkpoint in --out",
        module_name=sys.argv[0],
    )
    define_flags()
    cli.start(Config, command, f"out/{NAME}", trains=True)
