"""Can this cell learn this task? Any of both, trained so that nothing is lost.

Question: how do loss and accuracy of one cell on one task come down, and where do they
end beside the floor of a predictor without memory?

  python -m experiments.train --task=adding --cell=lstm --out=out/adding
  python -m experiments.train --task=adding --cell=lstm --out=out/adding --resume

Written under --out: `metrics.jsonl`, one object per logged step (step, loss, accuracy,
steps_per_second; loss and accuracy of that update's batch, before the update);
`checkpoints/`; at the end `final.npz`, every parameter by its path ("cell/w_ih"), and
the record with its figure. A run that was killed goes on with --resume from its last
checkpoint to the same bits, parameters and metrics, that it would have reached; Ctrl-C
saves first. What is not finite, or explodes, stops the run. One run at a time writes to
a folder; a second one is refused.

The same bits take the same device and as many threads of the CPU, among which XLA cuts
large sums: as many as cores, or as NPROC says (NPROC=2 on one core gives the bits of
two). The record has their number; --resume says where it changed, or versions or code
did. Config and random numbers (JAX_THREEFRY_PARTITIONABLE, JAX_DEFAULT_PRNG_IMPL) must
be those of the checkpoint.

Many devices: --mesh=data:4,seed:2 cuts the batch in four and the seeds in two;
--mesh=data:2,unit:2 also stores large weights and their moments in two parts, and the
batch goes to all four devices; --cpu_devices=8 makes the CPU eight devices to try it
on. Under --distributed the same command runs in several processes, which find each
other from Slurm, Open MPI or Kubernetes (scripts/slurm_example.sh), or by hand; process
0 writes all files. The loss curve is that of one device to rounding, and a run goes on
with --resume over other devices or another number of processes. Processes of other
settings, versions or code are refused at the start. One process lost stops them all:

  for id in 0 1; do
    python -m experiments.train --out=out/two --cpu_devices=4 --distributed
      --coordinator=127.0.0.1:7654 --num_processes=2 --process_id=$id &
  done; wait

Expected. On adding at length 100 an LSTM of 32 units reaches a mean squared error of at
most 0.01 in at least 4 of 5 seeds; the floor is 1/6, and 1/12 knows one number:

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
