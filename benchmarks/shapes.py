"""The sizes that are timed."""

from typing import NamedTuple


class Shape(NamedTuple):
    """One size of the work."""

    name: str  # in flags, lines and tables
    time: int  # steps, T
    batch: int  # sequences, B
    input: int  # features of one input, D
    hidden: int  # units, H


LAYERS = (
    Shape("adding", 100, 32, 2, 128),
    Shape("one", 200, 1, 64, 128),
    Shape("mid", 100, 64, 128, 256),
    Shape("lm", 35, 20, 650, 650),
    Shape("long", 512, 16, 256, 512),
    Shape("seqmnist", 784, 100, 1, 128),
)
STEP = Shape("adding-200", 200, 32, 2, 128)
CHECKPOINT = Shape("long16k", 16384, 16, 2, 128)
SPECTRUM = Shape("spectrum", 20, 32, 1, 256)
LINEAR = (
    Shape("linear1k", 1024, 8, 32, 32),
    Shape("linear16k", 16384, 1, 32, 32),
)
NEWTON = Shape("newton4k", 4096, 1, 4, 16)
# For trials of the benchmark; its numbers mean nothing and enter no table.
TINY = Shape("tiny", 16, 4, 2, 5)
