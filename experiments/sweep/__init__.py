"""Which setting trains best? A grid, or random draws, over any fields of the trainer.

Question: how often does a cell learn a task, and how well, over its learning rate,
forget bias, size, or whatever else `experiments.train` has a flag for?

  python -m experiments.sweep
  python -m experiments.sweep --sweep="cell=lstm,gru;hidden_size=16,32,64" --num_seeds=5
  python -m experiments.sweep --random=20 --sweep="learning_rate=log:1e-4:1e-1;clip=1,5"

All flags of `experiments.train` are there and go to every run; those that say what is
logged and saved on the way, and those of several processes, are refused. Settings that
differ in numbers only (learning rate, clip, forget bias, seed) train side by side in
one program, at most --at_once runs; each such part is saved under `cells/` when it is
done, and --resume trains those that are missing, to the same bits where threads, device
and versions are the same (see `experiments.train`), and says where they are not. Every
run is the one that `experiments.train` makes of its setting and seed, up to rounding.

Many devices: --mesh=seed:4 gives each of four an equal part of the runs of a program,
which exchange nothing; the last setting is trained once more where they are too few.
--mesh=data:2,seed:2 and --cpu_devices=4 are as in `experiments.train`. What is found is
the same to rounding, and --resume goes on over other devices.

Written under --out: `sweep.csv`, one row per setting, in order: the swept fields; runs,
successes, and the rate's 95 % Wilson interval; runs that diverged; median and quartiles
of test loss and test accuracy over the runs that did not; and the record with its
figure. The table has the best settings: most successes, then fewest diverged, then the
lowest median loss.

What is drawn. One swept field: test loss of every seed, with median and quartiles, and
the share that succeeds with its interval. Two, on a grid: maps of both. Otherwise: all
settings from the best to the worst, each field's value a shade below. A cross marks a
setting of which a run diverged (in maps, with their number).

Expected. The learning rate decides (Greff et al.: most of the variance, and hardly any
interaction with the rest). On adding (30 steps, 600 updates) 1e-3 is too slow for any
seed, 3e-3 for most, and from 1e-2 on nearly all reach an accuracy of 0.95; the forget
bias matters little at so few steps.

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
