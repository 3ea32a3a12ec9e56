"""How much of the last step's gradient reaches the first?

Question: on sequences of real images, how does the gradient of the last prediction with
respect to the memory fade with the lag, before and after training; and what does that
say about the lag you ask for?

  python -m experiments.gradient_decay
  python -m experiments.gradient_decay --cells=lstm --lag=200 --num_steps=0
  python -m experiments.gradient_decay --sequence=mine.csv
  python -m experiments.gradient_decay --recorder=30

What is drawn. A network watches the nature show (`lstm_jax/tasks/nature_show.py`) and
answers at the last step. The margin, the logit of the right answer minus that of the
wrong animal, is differentiated with respect to the memory (all of the carry) that
enters each step; drawn is the share, norm at that step / norm entering the last step.
In the record that is `log_share` (variant, stage, seed, example, lag), in the figure
(`experiments/figures/gradient_decay.py`) the upper panels; the lower ones are an RNN
without input and the forget gates alone, with what theory says.
The margin and not the loss, whose gradient is small after training because the task is
solved, not because memory fades. Your own sequence has no right answer: a random
direction of the last output is differentiated, and nothing is trained.

Expected (`experiments/reference/gradient_decay/`, the default run; README quotes it):
untrained, the gradient at lag 40 is lost in an RNN and mostly lost in an LSTM at forget
bias 1; at the matched bias it arrives. After training it arrives in the networks that
solve the task. Among the biases of an LSTM the initial curve tells which one learns;
across cells it need not.

Sources: Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735;
Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063; the carousel's bias
ln(lag - 1): Tallec & Ollivier (2018), https://arxiv.org/abs/1804.11188.
"""

from experiments.gradient_decay.config import Config as Config
from experiments.gradient_decay.experiment import NAME as NAME
from experiments.gradient_decay.experiment import plot as plot
from experiments.gradient_decay.experiment import run as run
