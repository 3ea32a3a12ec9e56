"""A run of `experiments.train`: the time it spends outside its compiled program.

Between chunks the host counts, logs and shows progress; with --out it also writes
metrics and checkpoints, as often as the defaults say. The "peer" is the time outside
the chunks, so that the ratio is its share of the run.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import jax

from benchmarks.shapes import Shape
from benchmarks.sides import Comparison, Setting, Side
from experiments.train import chunks, saving
from experiments.train.config import Config
from experiments.train.job import job_of

UPDATES = 300


def run(shape: Shape, setting: Setting) -> Iterator[Comparison]:
    """The host's share alone, and with metrics and checkpoints on a disk."""
    config = Config(
        task="adding",
        cell="lstm",
        hidden_size=shape.hidden,
        batch_size=shape.batch,
        length=shape.time,
        num_steps=UPDATES,
    )
    for saves, what in (False, "between chunks"), (True, "metrics, checkpoints too"):

        def seconds(saves=saves):
            with tempfile.TemporaryDirectory() as folder:
                return _seconds(config, Path(folder) if saves else None)

        ours, peer = (
            Side(name, run=seconds, answer=seconds)
            for name in ("experiments.train", "outside its program")
        )
        work = f"{UPDATES} updates, {what}"
        yield Comparison("run", shape.name, work, ours, peer, measures=("share",))


def _seconds(config: Config, out: Path | None) -> tuple[float, float]:
    """Returns the seconds of a run, and how many of them are outside its program."""
    job = job_of(config)
    begun = saving.begin(config, job, out, resume=False)
    jax.block_until_ready(job.chunk(job.place(begun.state), 0))  # compiles
    inside = 0.0

    def chunk(state, num_steps):
        nonlocal inside
        start = time.perf_counter()
        result = jax.block_until_ready(job.chunk(state, num_steps))
        inside += time.perf_counter() - start
        return result

    start = time.perf_counter()
    chunks.finish(config, job._replace(chunk=chunk), begun, out)
    whole = time.perf_counter() - start
    return whole, whole - inside
