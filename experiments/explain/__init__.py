"""What does a trained LSTM or GRU keep, and how far back does its gradient reach?

Question: given the weights of your own model, for how many steps do its gates hold a
memory, how many steps back does the gradient of its last output reach, and how many of
these steps remain after rounding to a number format?

  python -m experiments.explain model.safetensors
  python -m experiments.explain model.keras --sequence=mine.csv
  python -m experiments.explain model.pt --module=encoder.lstm
  python -m experiments.explain --checkpoint=out/adding
  python -m experiments.explain --checkpoint=out/adding/checkpoints/500

The file may be of torch, Keras, Flax, ONNX, NumPy or an audio plug-in
(`lj.adapters.load`); all its layers are explained, in both directions if it has two. A
cell without a memory of its own, such as an RNN, has no half-lives, but a gradient.
--checkpoint is the --out of `experiments.train`, meaning its newest whole checkpoint,
or one particular checkpoint. Cell, sizes and task come from the run's own config, and
the model is measured on fresh sequences of that task, both trained and untrained.

What is drawn. First, what the gates keep: ln f_t (f_t is an LSTM's forget gate, or a
GRU's z, which multiplies the old memory) is averaged over steps and sequences for every
unit; the unit's half-life is -ln 2 / mean ln f_t. Second, how far back the gradient
reaches: the last output along a random direction u, u . y, is differentiated with
respect to the memory (the whole carry, all layers) that enters each step; the curve is
the share, norm at that step / norm entering the last step, as median and quartiles over
the sequences. For a run, the answer of the trained readout at the last step of every
sequence, u . answer, takes the place of the output; thin grey lines are the same
measurement of the initial weights. Third, where the answer came from: integrated
gradients of its length, from inputs of zero to the inputs, summed over the inputs of a
step; drawn is the share that the last steps made, in absolute values, and the verdict
says which inputs, and what the sum misses (`lj.gradients.integrated_gradients`). The
verdict also says through what a step of the gradient goes back, as a mean over the
steps with more than 1e-6 of it: the memory that is kept, or a gate that reads it
(`lj.gradients.path_shares`).

Weights alone, without --sequence, read white noise of unit variance: `lag` steps of
warm-up, then `lag` + 1 that are measured. What a model keeps depends on what it reads,
so give it your own sequence if you have one: a CSV, a .npy file of (time, input) or
(time, batch, input), and what else `lj.data.read_table` reads, every column
standardised unless --scale=none. Everything is computed in float32, norms without
underflow.

A bidirectional layer reads a sequence whole, and is asked for what each direction shows
where it has read all: at the last step, and at the first. Lags count from there. In
several such layers every output hears every step from both sides, so for the gradient
each layer is asked for its own last outputs; the parts of the answer are of the whole
network.

Expected. The slowest gate alone leaves exp(lag * mean ln f_t). The measured gradient
lies below that line if such units are few or hardly contribute to the output, and above
it if the hidden path, which has no forget gate, carries more: an untrained LSTM with a
forget bias of 1 has a mean ln f_t of about ln sigma(1) = -0.313, and its whole gradient
decays more slowly (`experiments.gradient_decay`). If all weights except a forget bias b
are zero, gates and gradient decay at exactly ln sigma(b)
(`tests/experiments/explain/`).

Reference (`experiments/reference/explain/`, 15 s and 23 s on two idle cores): a model
of the adding problem with 100 steps,

  python -m experiments.train --learning_rate=1e-2 --out=out/adding
  python -m experiments.explain --checkpoint=out/adding

Found: training turns one unit of 32 into a store, with a half-life of about 180 steps;
before training the slowest had 2.8. The median unit gets faster, 1.7. At lag 99 the
share of the gradient that is left rises from 0.011 to 1.3: all of it, as the answer, a
sum, requires. Half of the answer comes from the last 66 of 100 steps: the marked
numbers lie anywhere, and the last ones count no more than the first.

Sources: Tallec & Ollivier (2018), https://arxiv.org/abs/1804.11188 (time constants from
gates); Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735;
Sundararajan, Taly & Yan (2017), https://arxiv.org/abs/1703.01365 (attribution).
"""

from experiments.explain.config import Config as Config
from experiments.explain.experiment import NAME as NAME
from experiments.explain.experiment import plot as plot
from experiments.explain.experiment import run as run
