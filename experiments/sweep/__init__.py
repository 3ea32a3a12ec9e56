"""Which setting trains best? A grid, or random draws, over any fields of the trainer.

Question: how often does a cell learn a task, and how well, as a function of learning
rate, forget bias, size, or anything else for which `experiments.train` has a flag?

  python -m experiments.sweep
  python -m experiments.sweep --sweep="cell=lstm,gru;hidden_size=16,32,64" --num_seeds=5
  python -m experiments.sweep --random=20 --sweep="learning_rate=log:1e-4:1e-1;clip=1,5"

All flags of `experiments.train` are available and apply to every run, except those for
logging and saving during training and those for several processes, which are refused.
Settings that differ only in numbers (learning rate, clip, forget bias, seed) train side
by side in one program, at most --at_once runs at a time; each such part is saved under
`cells/` when it is done. --resume trains the missing parts, to the same bits if
threads, device and versions are the same (see `experiments.train`), and reports if they
are not. Every run equals that of `experiments.train` with its setting and seed, up to
rounding.

Many devices: --mesh=seed:4 gives each of four devices an equal share of a program's
runs, between which nothing is exchanged; if there are too few runs, the last setting is
trained again to fill up. --mesh=data:2,seed:2 and --cpu_devices=4 work as in
`experiments.train`. The results are the same up to rounding, and --resume may use other
devices.

Written to --out: `sweep.csv`, one row per setting, in order: the swept fields; runs,
successes, and the 95 % Wilson interval of the success rate; the number of runs that
diverged; median and quartiles of test loss and test accuracy over the others; and the
record with its figure. The table shows the best settings: most successes, then fewest
diverged, then the lowest median loss.

What is drawn. One swept field: the test loss of every seed, with median and quartiles,
and the share that succeeds with its interval. Two, on a grid: maps of both. Otherwise:
all settings from best to worst, with each field's value as a shade below. A cross marks
a setting in which a run diverged (in maps, with the number of such runs).

Expected. The learning rate decides (Greff et al.: most of the variance, and hardly any
interaction with the rest). On adding (30 steps, 600 updates) 1e-3 is too slow for any
seed, 3e-3 for most, and from 1e-2 on nearly all reach an accuracy of 0.95; the forget
bias matters little over so few steps.

Sources: Greff et al. (2017), LSTM: A search space odyssey, section V.C, found the
learning rate to matter most by far, https://arxiv.org/abs/1503.04069; random rather
than grid search, Bergstra & Bengio (2012), https://jmlr.org/papers/v13/bergstra12a.html;
forget biases, Jozefowicz, Zaremba & Sutskever (2015),
https://proceedings.mlr.press/v37/jozefowicz15.html.
"""

from experiments.sweep.config import Config as Config
from experiments.sweep.experiment import NAME as NAME
from experiments.sweep.experiment import plot as plot
from experiments.sweep.experiment import run as run
