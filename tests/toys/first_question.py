"""How much of the first sign's gradient is left at the end? Copied to experiments/.

python -m experiments.first_question --cell=lstm
"""

import time
from dataclasses import asdict, dataclass

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import lstm_jax as lj
from experiments.common import cli, records
from experiments.common.cli import option
from experiments.common.records import Quantity, Record, take
from lstm_jax import plots

NAME = "first_question"


@dataclass(frozen=True)
class Config(cli.Flags):
    """What is measured; every field is a flag."""

    cell: str = option("lstm", cli.one_of(lj.CELLS), "measured, untrained")
    lag: int = option(10, cli.integer(minimum=1), "steps after the first")
    seed: int = option(0, cli.seed(), "everything random follows from it")


def run(config: Config) -> Record:
    """Measures and returns the record."""
    start = time.monotonic()
    cell, key = lj.CELLS[config.cell], jax.random.key(config.seed)
    params = cell.init(key, input_size=1, hidden_size=4)
    xs = jax.random.normal(key, (config.lag + 1, 2, 1))
    log_norms = lj.log_gradient_norms(cell, params, xs, lambda ys: jnp.sum(ys[-1]))
    by_lag = np.asarray(lj.joint_log_norms(log_norms)).T[:, ::-1]
    shares = by_lag - by_lag[:, :1]
    return records.new(
        NAME,
        asdict(config),
        start,
        arrays={"log_share": Quantity(shares, ("example", "lag"), "nats")},
        axes={},
        rows=[{"cell": config.cell, "ln share": f"{np.median(shares[:, -1]):.2f}"}],
    )


@plots.styled
def plot(record: Record) -> Figure:
    """Draws the share of every example."""
    figure = Figure(figsize=(4, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(take(record, "log_share").T, color=plots.colour_of(record.config["cell"]))
    axes.set_xlabel("lag: steps before the last one")
    return figure


if __name__ == "__main__":
    cli.main(Config, run, plot, NAME)
