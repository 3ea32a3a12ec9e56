"""The command of `experiments.gradient_decay`."""

from experiments.common import cli
from experiments.gradient_decay import Config, plot, run
from experiments.gradient_decay.experiment import NAME

if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
