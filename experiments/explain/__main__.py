"""The command of `experiments.explain`."""

from experiments.common import cli
from experiments.explain import Config, plot, run
from experiments.explain.experiment import NAME

if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
