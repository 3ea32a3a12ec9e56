"""Can this cell learn this task? Trains any pair, and loses nothing when killed.

Question: how do the loss and accuracy of one cell on one task develop, and where do
they end, compared with the best predictor without memory?

  python -m experiments.train --task=adding --cell=lstm --out=out/adding
  python -m experiments.train --task=adding --cell=lstm --out=out/adding --resume
  python -m experiments.train --data=mine.csv --target=Close --window=64 --out=out/mine
  python -m experiments.train --text=mine.txt --length=100 --out=out/text

Written to --out: `metrics.jsonl`, one object per logged step (step, loss, accuracy,
steps_per_second; loss and accuracy on the batch of that update, before the update), and
`metrics.csv`, the same as a table; `checkpoints/`; at the end `final.npz`, every
parameter by its path ("cell/w_ih"), and the record with its figure. With --valid also
`best/`, a checkpoint of the weights of the least validation loss, and `best.npz`; the
test at the end is then of these. --resume continues a killed run from its last
checkpoint and reaches the same parameters and metrics, bit for bit; Ctrl-C saves before
it stops. A loss that explodes or is not finite ends the run. Only one run at a time may
write to a folder; a second one is refused.

The same bits need the same device and the same number of CPU threads, between which XLA
splits large sums: one per core, or NPROC of them (NPROC=2 on one core gives the bits of
two). The record holds their number; --resume reports if it, the versions or the code
have changed. The config and the random numbers (JAX_THREEFRY_PARTITIONABLE,
JAX_DEFAULT_PRNG_IMPL) must be those of the checkpoint.

Your own data: --data predicts --target (a column, or several) --horizon steps after the
--window steps of all columns that it reads; the last fifth of the steps is the test,
which no window of training reads, and columns are standardised by the steps before it,
unless --scale=none. Two levels are drawn: what the mean of the training steps loses on
the test, "no memory", and what the last value that was read loses, "last value again".
--text predicts every next character, and its last tenth is the test. The hash of the
file is part of the run: --resume and `experiments.explain` refuse another one.

Many devices: a CPU acts as one device for each core, and they share the seeds, and the
batch where there are too few seeds; the mesh is written into the run, and --resume
keeps it. --cpu_devices=1 trains on one. --mesh=data:4,seed:2 splits the batch in four
and the seeds in two; --mesh=data:2,unit:2 also stores large weights and their moments
in two parts, while all four devices share the batch; with --cpu_devices=8 a CPU acts as
eight devices, to try this out. With --distributed the same command runs in several
processes, which find each other through Slurm, Open MPI or Kubernetes
(scripts/slurm_example.sh), or by hand; process 0 writes all files. The loss curve
equals that of one device up to rounding, and --resume may use other devices or another
number of processes. Processes whose settings, versions or code differ are refused at
the start. If one process is lost, all stop:

  for id in 0 1; do
    python -m experiments.train --out=out/two --cpu_devices=4 --distributed
      --coordinator=127.0.0.1:7654 --num_processes=2 --process_id=$id &
  done; wait

Expected. On adding at length 100, an LSTM of 32 units reaches a mean squared error of
at most 0.01 in at least 4 of 5 seeds; without memory the best possible is 1/6, and
knowing one of the two numbers gives 1/12:

  python -m experiments.train --num_seeds=5 --learning_rate=1e-2 --success_loss=0.01

Sources: the adding problem, Hochreiter & Schmidhuber (1997),
https://doi.org/10.1162/neco.1997.9.8.1735; with numbers in [0, 1], Le, Jaitly & Hinton
(2015), https://arxiv.org/abs/1504.00941; Adam, Kingma & Ba (2015),
https://arxiv.org/abs/1412.6980; clipping, Pascanu, Mikolov & Bengio (2013),
https://arxiv.org/abs/1211.5063.
"""

from experiments.train.config import Config as Config
from experiments.train.experiment import NAME as NAME
from experiments.train.experiment import plot as plot
from experiments.train.experiment import run as run
