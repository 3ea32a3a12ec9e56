"""The command of `experiments.sweep`."""

import sys

from absl import flags

from experiments.common import cli
from experiments.sweep import Config
from experiments.sweep.experiment import NAME, command

if __name__ == "__main__":
    flags.DEFINE_boolean(
        "resume",
        False,
        "train only the parts that --out does not hold yet",
        module_name=sys.argv[0],
    )
    cli.start(Config, command, f"out/{NAME}", trains=True)
