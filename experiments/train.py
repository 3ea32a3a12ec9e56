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

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from matplotlib.figure import Figure

import lstm_jax as lj
from experiments import (
    cli,
    metrics,
    records,
    train_config,
    train_job,
    train_processes,
    train_run,
)
from experiments.records import Record
from experiments.train_config import Config as Config
from experiments.train_processes import Stopped
from experiments.train_run import Diverged as Diverged
from experiments.train_run import Interrupted as Interrupted
from experiments.train_run import Trained
from lstm_jax import plots
from lstm_jax.training import checkpoints
from lstm_jax.training.checkpoints import CheckpointError
from lstm_jax.training.success import success_rate

NAME = "train"


def run(config: Config, out: str | Path | None = None, resume: bool = False) -> Record:
    """Trains, tests and returns the record; nothing is written where `out` is None.

    Args:
      config: what is trained.
      out: folder of metrics.jsonl, checkpoints/ and final.npz; made if it is missing.
      resume: go on from the newest whole checkpoint in `out`.

    Raises:
      ConfigError: `out` holds another run or is that of one going on, `config` can't be
        trained, or the processes of the run were not started alike.
      Diverged: nothing finite is left to train on.
      Interrupted: Ctrl-C; everything is saved.
      CheckpointError: a checkpoint can't be written.
    """
    if out is None:
        return _run(config, None, resume)
    with train_processes.first_alone_in(Path(out)):
        return _run(config, Path(out), resume)


def _run(config: Config, out: Path | None, resume: bool) -> Record:
    start = time.monotonic()
    train_processes.check_same(train_run.what_all_share(config))
    train_job.check_memory(config)
    with jax.enable_x64(config.dtype == "float64"):
        job = train_job.job_of(config)
        begun = train_run.begin(config, job, out, resume)
        trained = train_run.finish(config, job, begun, out)
        tested = np.stack([np.atleast_1d(part) for part in job.test(trained.state)])
    if out is not None:
        train_processes.by_first(lambda: _save_end(trained, out))
    return Record(
        experiment=NAME,
        config=asdict(config),
        arrays=_arrays(config, trained, tested),
        rows=_rows(config, trained, tested),
        verdict=[*trained.notes, *_verdict(config, tested)],
        made=records.provenance(time.monotonic() - start),
    )


def _save_end(trained: Trained, out: Path) -> None:
    # Lines that were only added would outlive the process, but no loss of power.
    metrics.rewrite(out / "metrics.jsonl", trained.metrics)
    params = checkpoints.named_arrays(trained.state.params)
    metrics.save_arrays(out / "final.npz", params)


def _arrays(
    config: Config, trained: Trained, tested: np.ndarray
) -> dict[str, np.ndarray]:
    task = lj.TASKS[config.task]
    plateaus = task.plateaus(config.length)
    return {
        **trained.metrics,
        "final_test_loss": tested[0],
        "final_test_accuracy": tested[1],
        "level/no memory": np.array(task.floor(config.length)),
        **{f"level/{name}": np.array(loss) for name, loss in plateaus.items()},
    }


def _rows(config: Config, trained: Trained, tested: np.ndarray) -> list[dict[str, Any]]:
    floor = lj.TASKS[config.task].floor(config.length)
    return [
        {
            "cell": config.cell,
            "seed": seed,
            "updates": int(steps),
            "test loss": f"{loss:.4g}",
            "no memory": f"{floor:.4g}",
            "test accuracy": f"{accuracy:.3f}",
        }
        for seed, steps, loss, accuracy in zip(
            train_config.seeds(config),
            np.atleast_1d(trained.state.step),
            *tested,
            strict=True,
        )
    ]


def _verdict(config: Config, tested: np.ndarray) -> list[str]:
    if config.success_loss is None:
        return []
    count, runs = int((tested[0] <= config.success_loss).sum()), config.num_seeds
    rate = success_rate(count, runs)
    return [
        f"{count} of {runs} seeds end with a test loss of at most "
        f"{config.success_loss:g} (95 % Wilson interval of the rate: "
        f"{rate.low:.2f} to {rate.high:.2f})."
    ]


@plots.styled
def plot(record: Record) -> Figure:
    """Draws loss and accuracy against the updates, every seed a line."""
    figure = Figure(figsize=(6.6, 4.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    colour = plots.colour_of(record.config["cell"])
    arrays = record.arrays
    for axes, name in ((upper, "loss"), (lower, "accuracy")):
        axes.plot(arrays["step"], arrays[name], color=colour, linewidth=0.7, alpha=0.8)
        axes.set_ylabel(name)
    for name, level in arrays.items():
        if name.startswith("level/") and level > 0:  # the axis is logarithmic
            upper.axhline(float(level), color=plots.GREY, linewidth=0.6)
            upper.annotate(
                name.removeprefix("level/"),
                (1, float(level)),
                xycoords=("axes fraction", "data"),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                color=plots.GREY,
                fontsize=8,
            )
    upper.set_yscale("log")
    lower.set_ylim(-0.02, 1.02)
    lower.set_xlabel(f"updates of {record.config['batch_size']} sequences")
    upper.set_title(
        f"{record.config['cell']}, {record.config['hidden_size']} units, on "
        f"{record.config['task']}, {record.config['length']} steps"
    )
    return figure


def command(config: Config, out: Path) -> None:
    """Runs, saves the record and prints it; ends the process where it can't."""
    processes = train_processes.from_flags()
    again = train_processes.command_to_resume()
    try:
        with train_processes.lost_process_told(processes, again):
            train_processes.start(processes)
            with train_processes.first_alone_in(out):
                record = _run(config, out, resume=flags.FLAGS.resume)
                train_processes.by_first(lambda: _leave_behind(record, out))
    except Interrupted as error:
        code = 128 + error.signal
        cli.stop(f"{error} and saved; go on with\n  {again}", code)
    except (Diverged, CheckpointError, Stopped) as error:
        cli.stop(str(error), 1)
    except KeyboardInterrupt:
        again = f"go on from what was saved with\n  {again}"
        cli.stop(f"interrupted; {again}", cli.INTERRUPTED)
    except OSError as error:
        cli.stop(f"{error.filename or out}: {error.strerror}; go on with\n  {again}", 1)


def _leave_behind(record: Record, out: Path) -> None:
    records.save(record, plot(record), out)
    records.show(record)
    print(f"\nmetrics.jsonl, final.npz, record.json, figure.png in {out.resolve()}")


if __name__ == "__main__":
    flags.DEFINE_boolean(
        "resume",
        False,
        "go on from the newest checkpoint in --out",
        module_name=sys.argv[0],
    )
    train_processes.define_flags()
    cli.start(Config, command, f"out/{NAME}")
