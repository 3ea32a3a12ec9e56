"""How much faster an update is when 2, 4 or 8 CPU devices share its batch or seeds.

    python -m benchmarks.scaling

Layouts are timed in turns; the gain is the time of one device divided by that of the
layout in the same round, as the median over rounds. This takes five minutes on an idle
machine.

On c cores no gain above c is possible, and one device already uses all cores for large
products: what this shows is the cost of splitting, and the gain when one device leaves
cores idle. It does not show time on a network, which decides on accelerators;
`docs/scaling.md` works that out.
"""

import os
import time
from collections.abc import Callable, Sequence

import jax
import numpy as np

from experiments.train.config import Config
from experiments.train.job import job_of

LAYOUTS = {  # by number of runs side by side
    1: (None, "data:2", "data:4", "data:8"),
    8: (None, "seed:2", "seed:4", "seed:8"),
}
HIDDEN_SIZES = (32, 128)
ROUNDS = 7
UPDATES = 4


def main() -> None:
    """Prints a table, row by row as it is measured."""
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", 8)
    print(f"{os.cpu_count()} cores; adding, LSTM, T = 100, B = 64; float32\n")
    print("| hidden | runs | layout | ms per update | gain | gain / devices |")
    print("|---:|---:|---|---:|---:|---:|")
    for hidden_size in HIDDEN_SIZES:
        for num_seeds, layouts in LAYOUTS.items():
            seconds = measured(hidden_size, num_seeds, layouts)
            for layout, row in zip(layouts, _rows(seconds), strict=True):
                count = 1 if layout is None else int(layout.partition(":")[2])
                name = layout or "one device"
                print(
                    f"| {hidden_size} | {num_seeds} | {name} | {1e3 * row[0]:.1f} | "
                    f"{row[1]:.2f} | {row[1] / count:.2f} |",
                    flush=True,
                )


def measured(
    hidden_size: int, num_seeds: int, layouts: Sequence[str | None]
) -> np.ndarray:
    """Returns seconds per update, (round, layout), the layouts taken in turns."""
    calls = [_updates(hidden_size, num_seeds, layout) for layout in layouts]
    return np.array([[call() / UPDATES for call in calls] for _ in range(ROUNDS)])


def _updates(hidden_size: int, num_seeds: int, layout: str | None) -> Callable:
    """Returns a function that times UPDATES updates, in seconds."""
    config = Config(
        hidden_size=hidden_size, batch_size=64, num_seeds=num_seeds, mesh=layout
    )
    job = job_of(config)
    state = job.place(job.initial())
    jax.block_until_ready(job.chunk(state, 0))

    def seconds() -> float:
        start = time.perf_counter()
        jax.block_until_ready(job.chunk(state, UPDATES))
        return time.perf_counter() - start

    seconds()
    return seconds


def _rows(seconds: np.ndarray) -> np.ndarray:
    """Returns median seconds and median gain over the first layout, (layout, 2)."""
    gains = seconds[:, :1] / seconds
    return np.stack([np.median(seconds, axis=0), np.median(gains, axis=0)], axis=-1)


if __name__ == "__main__":
    main()
