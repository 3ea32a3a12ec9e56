"""What does a memory keep of the first scene, and how much gradient reaches it?

Question: on sequences of real images, what is left of the first image in the memory of
a trained network; how does the gradient of the last prediction with respect to the
memory fade with the lag, before and after training; and what does that say about the
lag you ask for?

  python -m experiments.gradient_decay
  python -m experiments.gradient_decay --panels=all
  python -m experiments.gradient_decay --cells=lstm --lag=200 --num_steps=0
  python -m experiments.gradient_decay --sequence=mine.csv
  python -m experiments.gradient_decay --data=mine.csv --target=Close --window=64
  python -m experiments.gradient_decay --panels=all --recorder=30

What is drawn. A network watches the nature show (`lstm_jax/tasks/nature_show.py`) and
answers at the last step. The memory of the bear: two test shows that differ in the
first image alone, a bear or an armchair, and the difference of the two memories at
every step, unit by unit, as a share of its largest size ("scene_difference" in the
record); of each cell the network of median accuracy. The gradient: the margin, the
logit of the right answer minus that of the wrong animal, is differentiated with respect
to the memory (all of the carry) that enters each step; drawn is the share, norm at that
step / norm entering the last step, of untrained networks on shows of lag 200
("far_log_share"), medians over seeds and shows. --panels=all draws the shares at the
lag of the shows before and after training ("log_share": variant, stage, seed, example,
lag), an RNN without input and the forget gates alone, with what theory says. The margin
and not the loss, whose gradient is small after training because the task is solved, not
because memory fades. Your own sequence has no right answer: a random direction of the
last output is differentiated, and nothing is trained; every column is standardised
unless --scale=none. With --data networks learn to predict a column of your table, as
those of `experiments.train`, and the prediction at windows of the test is
differentiated.

Setting. Lag 25, the shortest at which no RNN of a first look (6 seeds) solved the show
in these 400 updates, at lag 20 some do; 32 units; 3e-3, because at 5e-3 one LSTM in
three fails. At lag 40 an LSTM needs 64 units and 600 updates
(`experiments.nature_show`).

Expected (`experiments/reference/gradient_decay/`, the default run; README quotes it):
all LSTMs and four-gate cells of a matched forget bias answer right in 0.95 of the
shows, and no RNN in more than 0.6. Untrained, the RNN's gradient at lag 200 is far
below the rounding of float32, that of an LSTM at forget bias 1 below it, and at the
matched bias it arrives. Among the biases of an LSTM the initial curve tells which one
learns; across cells it need not.

Sources: Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735;
Pascanu, Mikolov & Bengio (2013), https://arxiv.org/abs/1211.5063; the carousel's bias
ln(lag - 1): Tallec & Ollivier (2018), https://arxiv.org/abs/1804.11188.
"""

from experiments.gradient_decay.config import Config as Config
from experiments.gradient_decay.experiment import NAME as NAME
from experiments.gradient_decay.experiment import plot as plot
from experiments.gradient_decay.experiment import run as run
