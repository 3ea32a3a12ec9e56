"""What does a trained LSTM or GRU keep, and how far back does its gradient hear?

Question: given the weights of a model of your own, for how many steps do its gates hold
a memory, how many steps back does the gradient of its last output arrive, and how many
of those does a number format leave?

  python -m experiments.explain --torch=model.safetensors
  python -m experiments.explain --torch=model.safetensors --sequence=mine.csv
  python -m experiments.explain --torch=model.safetensors --module=encoder.lstm
  python -m experiments.explain --weights=final.npz
  python -m experiments.explain --checkpoint=out/adding
  python -m experiments.explain --checkpoint=out/adding/checkpoints/500

--checkpoint is the --out of `experiments.train` and means its newest whole checkpoint,
or names one of them. Cell, sizes and task come from the run's own config, and the model
is measured on fresh sequences of that task, before training too.

What is drawn. Left, what the gates keep: f_t (an LSTM's forget gate, a GRU's z, which
multiplies the old memory) is averaged as ln f_t over steps and sequences for every
unit; its half-life is -ln 2 / mean ln f_t. Right, what the gradient hears: a random
direction u of the last output, u . y, is differentiated with respect to the memory (all
of the carry, all layers) that enters each step; drawn is the share, norm at that step /
norm entering the last step, median and quartiles over the sequences. Of a run it is
not the output but the answer of the trained readout, u . answer, at the last step of
every sequence; thin grey lines are the same measurement of the weights it began with.
Weights alone, without --sequence, read white noise of unit variance, `lag` steps as a
warm-up and `lag` + 1 that are measured; what a model keeps depends on what it reads, so
give it a sequence of its own where you have one. Everything is computed in float32,
norms without underflow.

Expected. The slowest gate alone leaves exp(lag * mean ln f_t). The measured gradient
lies below that line where such units are few or hardly shown, and above it where the
hidden path, which no forget gate is on, carries more: an untrained LSTM at forget bias
1 has a mean ln f_t of about ln sigma(1) = -0.313, and its whole gradient decays more
slowly (`experiments.gradient_decay`). Where all weights but a forget bias b are zero,
gates and gradient decay at ln sigma(b) exactly (`tests/experiments/explain/`).

Reference (`experiments/reference/explain/`, 12 s and 10 s on two idle cores): a model
of the adding problem at 100 steps,

  python -m experiments.train --learning_rate=1e-2 --out=out/adding
  python -m experiments.explain --checkpoint=out/adding

Found: training makes one unit of 32 a store. It keeps half for about 180 steps, where
the slowest kept half for 2.8 before; the median unit gets faster, 1.7. What was left of
the gradient at lag 99 was 0.011, and is 1.3: all of it, as the answer, a sum, needs.

Sources: Tallec & Ollivier (2018), https://arxiv.org/abs/1804.11188 (time constants from
gates); Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735.
"""

from experiments.explain.config import Config as Config
from experiments.explain.experiment import NAME as NAME
from experiments.explain.experiment import plot as plot
from experiments.explain.experiment import run as run
