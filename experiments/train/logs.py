"""What a run logs, as files: metrics.jsonl, metrics.csv and, if asked for, TensorBoard.

In the columns of metrics.csv and the tags of TensorBoard several seeds stand side by
side, `loss_7` is that of seed 7.
"""

import csv
import importlib.util
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from experiments.common.errors import ConfigError
from experiments.train import metrics
from experiments.train.config import Config, seeds
from experiments.train.metrics import Metrics
from lstm_jax.training import disk

JSON, CSV, BOARD = "metrics.jsonl", "metrics.csv", "tensorboard"


def check(config: Config) -> None:
    """Refuses --tensorboard without its writer."""
    if config.tensorboard and importlib.util.find_spec("tensorboardX") is None:
        raise ConfigError(
            "tensorboard: its files are written by tensorboardX: "
            "pip install 'lstm_jax[tensorboard]'"
        )


def rewrite(config: Config, out: Path, lines: Metrics) -> None:
    """Replaces the files by exactly these lines, atomically and durably."""
    metrics.rewrite(out / JSON, lines)
    columns = _columns(config, lines)
    text = _table([[*columns]]) + _table(_rows(columns))
    disk.replace_file(out / CSV, text.encode("ascii"))


def append(config: Config, out: Path, lines: Metrics) -> None:
    """Appends lines to the files; from then on they survive the process."""
    metrics.append(out / JSON, lines)
    with (out / CSV).open("a", encoding="ascii", newline="") as file:
        file.write(_table(_rows(_columns(config, lines))))


@contextmanager
def board(
    config: Config, out: Path | None, after: int
) -> Iterator[Callable[[Metrics], None]]:
    """Yields what writes lines for TensorBoard, which forgets those after an update.

    It holds what a run that was killed had logged beyond its newest checkpoint.
    """
    if not config.tensorboard or out is None:
        yield lambda lines: None
        return
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(out / BOARD), purge_step=after + 1) as writer:

        def add(lines: Metrics) -> None:
            columns = _columns(config, lines)
            steps = columns.pop("step")
            for tag, values in columns.items():
                for step, value in zip(steps, values, strict=True):
                    if not np.isnan(value):
                        writer.add_scalar(tag, value, int(step))
            writer.flush()

        yield add


def _columns(config: Config, lines: Metrics) -> dict[str, np.ndarray]:
    """Returns (line,) arrays by name."""
    columns = {}
    for name, values in lines.items():
        if values.ndim == 1:
            columns[name] = values
        else:
            of_seeds = zip(seeds(config), values.T, strict=True)
            columns |= {f"{name}_{seed}": column for seed, column in of_seeds}
    return columns


def _rows(columns: dict[str, np.ndarray]) -> Iterator[list]:
    """Returns the cells of every line, empty where there is no value."""
    for row in zip(*(column.tolist() for column in columns.values()), strict=True):
        yield ["" if np.isnan(value) else value for value in row]


def _table(rows: Iterable[list]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
