"""Runs of experiments.train: read, measured on their own task, and refused."""

import shutil
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from weight_files import HIDDEN, lstm_params, refusal, save_npz

import lstm_jax as lj
from experiments import explain, train
from experiments.common.records import take
from experiments.explain import measurements, report
from experiments.explain.models import read_model, sequences_of
from experiments.explain.network import Block
from experiments.train import saved_run
from experiments.train.config import identity
from experiments.train.job import job_of
from experiments.train.saved_run import read_run
from lstm_jax.training import checkpoints
from lstm_jax.training.loop import begin_training


@pytest.mark.parametrize("name", ["", "final.npz"])
def test_a_checkpoint_may_be_final_npz_or_a_folder_of_nothing_else(tmp_path, name):
    save_npz(tmp_path / "final.npz", {"cell": lstm_params([1.0])})
    config = explain.Config(checkpoint=str(tmp_path / name))
    assert read_model(config).network == (Block((lj.LSTM,)),)


LENGTH = 5
RUN: dict[str, Any] = {
    "task": "adding",
    "hidden_size": HIDDEN,
    "length": LENGTH,
    "batch_size": 2,
    "test_size": 2,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with checkpoints of the steps 2 and 4."""
    out = tmp_path_factory.mktemp("run")
    train.run(train.Config(num_steps=4, checkpoint_interval=2, **RUN), out)
    return out


@pytest.fixture(scope="module")
def of_trained(trained):
    return explain.run(explain.Config(checkpoint=str(trained), num_examples=2))


@pytest.fixture
def copied(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "copied")


def save_run(folder, step=1, weights_of=None, **fields):
    """Writes what experiments.train would, all weights drawn, nothing compiled."""
    config = train.Config(**RUN | fields)
    of = train.Config(**RUN | fields | (weights_of or {}))
    random = np.random.default_rng(step)
    seeds = (of.num_seeds,) * (of.num_seeds > 1)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(random.normal(size=seeds + leaf.shape), jnp.float32),
        saved_run.zeros_like(of),
    )
    state = begin_training(jax.random.key(0), params, optax.identity())
    checkpoints.save(
        folder / "checkpoints",
        step,
        state,
        config=identity(config),
        history={"step": np.arange(2)},
    )
    return str(folder), params


@pytest.mark.slow
def test_a_run_is_measured_on_its_own_task_by_its_answer(trained, of_trained):
    assert of_trained.config["cell"] == "lstm"
    assert "lstm, 3 units, after 4 updates on adding, 5 steps" in of_trained.verdict[1]
    assert "on 2 sequences of adding" in of_trained.verdict[1]
    with np.load(trained / "final.npz") as final:
        stored = {name: jnp.asarray(final[name]) for name in final.files}
    params = lj.LSTMParams(*(stored[f"cell/{name}"] for name in lj.LSTMParams._fields))
    _assert_measured(of_trained, "trained", params, stored["readout/w"])
    job = job_of(train.Config(num_steps=4, **RUN))
    began = jax.tree.map(lambda leaf: leaf[0], job.initial().params)
    _assert_measured(of_trained, "initial", began.cell, began.readout.w)
    assert not np.array_equal(*take(of_trained, "half_life"))


def _assert_measured(record, stage, params, w):
    """Of the answer, with respect to zeros added to each carry of a Python loop."""
    xs = lj.TASKS["adding"].sample_test(jax.random.key(0), 2, LENGTH).inputs
    u = jax.random.normal(jax.random.fold_in(jax.random.key(0), 1), (2, 1))

    def answer(added):
        carry, y, kept = lj.LSTM.init_carry(params, (2,)), jnp.zeros((2, HIDDEN)), []
        for t in range(LENGTH):
            carry = lj.LSTMCarry(h=carry.h + added[t, 0], c=carry.c + added[t, 1])
            kept.append(jnp.log(lj.lstm_gates(params, carry.h, xs[t]).f))
            carry, y = lj.LSTM.step(params, carry, xs[t])
        return jnp.sum(y @ w * u), jnp.stack(kept).mean((0, 1))

    zeros = jnp.zeros((LENGTH, 2, 2, HIDDEN))
    adjoints, kept = jax.jit(jax.grad(answer, has_aux=True))(zeros)
    norms = np.log(np.sqrt((np.asarray(adjoints) ** 2).sum((1, 3))))
    np.testing.assert_allclose(
        take(record, "log_share", stage=stage).T,
        (norms - norms[-1])[::-1],
        atol=1e-4,
    )
    np.testing.assert_allclose(
        take(record, "mean_log_gate", stage=stage, layer=0), kept, rtol=1e-4
    )


@pytest.mark.slow
def test_the_figure_of_a_run_has_what_it_began_with(trained, of_trained):
    figure = explain.plot(of_trained)
    gates, gradient, answer = figure.axes
    assert len(answer.lines) == 3  # before and after training, and half
    assert figure.get_supxlabel().startswith(f"{trained.name}: lstm, 3 units, after 4")
    assert "untrained: " in figure.get_suptitle()
    assert len(gates.lines) == 3  # before, after, and the lag
    assert "before\ntraining" in gradient.get_legend_handles_labels()[1]


def test_one_checkpoint_of_a_run_is_read_where_it_is_named(trained):
    places = [trained, *(trained / "checkpoints" / step for step in ("", "2", "4"))]
    runs = [read_run(str(place), None) for place in places]
    assert {run.name for run in runs} == {trained.name}
    assert [run.step for run in runs] == [4, 4, 2, 4]
    weights = [run.params.cell.w_hh for run in runs]
    np.testing.assert_array_equal(weights[0], weights[3])
    assert not np.array_equal(weights[0], weights[2])


def test_behind_a_damaged_checkpoint_the_one_before_is_explained(copied):
    path = copied / "checkpoints" / "4"
    (path / "_METADATA").write_bytes(b"")
    unfinished = copied / "checkpoints" / ".unfinished-6"
    unfinished.mkdir()  # of a run that goes on
    found = read_model(explain.Config(checkpoint=str(copied))).run
    assert found is not None and (found.step, found.passed_over) == (2, (4,))
    assert "of step 4 is not whole" in report.passed_over(found)[0]
    assert "this is that of step 2" in report.passed_over(found)[0]
    assert unfinished.exists() and path.exists()
    message = refusal(lambda: read_run(str(path), None))
    assert "/4' is damaged; it must be whole, as that of step 2 is" in message
    (copied / "checkpoints" / "2" / "_CHECKPOINT_METADATA").write_text("{")
    message = refusal(lambda: read_run(str(copied), None))
    assert message.endswith("all checkpoints there are damaged: 2, 4")


def test_a_checkpoint_without_sums_was_never_finished(copied):
    (copied / "checkpoints" / "4" / checkpoints.SUMS).unlink()
    run = read_run(str(copied), None)
    assert (run.step, run.passed_over) == (2, ())
    (copied / "checkpoints" / "2" / checkpoints.SUMS).unlink()
    message = refusal(lambda: read_run(str(copied), None))
    assert "holds no checkpoint and no final.npz" in message


def test_a_run_is_not_begun_anew_with_other_random_numbers(trained):
    told = "is of other random numbers: jax_threefry_partitionable was True and is"
    with jax.threefry_partitionable(False):
        message = refusal(lambda: read_run(str(trained), None))
    assert message.startswith(f"checkpoint: {str(trained)!r}") and told in message


@pytest.mark.slow
def test_sequences_of_several_lengths_end_at_the_last_step(tmp_path):
    path, params = save_run(tmp_path, task="adding_1997", length=20)
    config = explain.Config(checkpoint=path, num_examples=4)
    model = read_model(config)
    read = sequences_of(config, model)
    batch = lj.TASKS["adding_1997"].sample_test(jax.random.key(0), 4, 20)
    lengths = np.asarray(batch.lengths)
    assert read.counts is not None
    assert len(set(lengths)) > 1 and read.lag == lengths.min() - 1
    for k, length in enumerate(lengths):
        np.testing.assert_array_equal(
            read.inputs[20 - length :, k], batch.inputs[:length, k]
        )
        np.testing.assert_array_equal(read.counts[:, k], np.arange(20) >= 20 - length)
    # The gates tell what enters: nothing happens before a sequence begins.
    measure = jax.jit(partial(measurements.measured, config, model, read.lag))
    found = measure(model.params, model.readout, read.inputs, read.counts)
    kept = []
    for k, length in enumerate(lengths):
        carry = lj.LSTM.init_carry(params.cell)
        for t, x in enumerate(batch.inputs[:length, k]):
            if t >= length - read.lag - 1:
                kept.append(jnp.log(lj.lstm_gates(params.cell, carry.h, x).f))
            carry, _ = lj.LSTM.step(params.cell, carry, x)
    np.testing.assert_allclose(found.log_kept[0], np.mean(kept, axis=0), rtol=1e-4)


def test_of_several_seeds_one_is_asked_for(tmp_path):
    path, params = save_run(tmp_path, num_seeds=2, seed=7)
    np.testing.assert_array_equal(
        read_run(path, 8).params.cell.w_ih, params.cell.w_ih[1]
    )
    for seed in (None, 1):
        message = refusal(lambda seed=seed: read_run(path, seed))
        assert message.startswith(f"of_seed: got {seed}; it must be one of 7, 8, the")


OTHER_RUNS: dict[str, Any] = {
    "another cell": (
        {"weights_of": {"cell": "gru"}},
        "says lstm, 3 units, on adding, but cell/b is (9,) and must be (12,)",
    ),
    "another size": ({"weights_of": {"hidden_size": 4}}, "cell/b is (16,) and must be"),
    "another task": ({"weights_of": {"task": "nature_show"}}, "cell/w_ih is (64, 12)"),
    "more weights": (
        {"weights_of": {"cell": "peephole_lstm"}},
        "but holds cell/p (9,), which such a network does not have",
    ),
    "fewer weights": (
        {"cell": "peephole_lstm", "weights_of": {"cell": "lstm"}},
        "but cell/p (9,) is missing",
    ),
}


@pytest.mark.parametrize("case", OTHER_RUNS)
def test_runs_of_other_networks_are_refused_in_one_line(tmp_path, case):
    fields, message = OTHER_RUNS[case]
    path, _ = save_run(tmp_path, **fields)
    said = refusal(lambda: read_model(explain.Config(checkpoint=path)))
    assert said.startswith(f"checkpoint: {path!r}") and message in said


WHOLE: dict[str, Any] = identity(train.Config(**RUN))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cell": "lstm"}, "its config lacks 'task'"),
        ({"flavour": 1}, "its config knows 'flavour'"),
        *(
            ({k: WHOLE[k] for k in WHOLE if k != gone}, f"its config lacks {gone!r}")
            for gone in ("forget_bias", "dtype", "seed", "num_seeds")
        ),
        (
            WHOLE | {"task": "x"},
            "in its config, task: got 'x'; it must be one of",
        ),
    ],
)
def test_configs_of_something_else_are_refused(fields, message):
    assert message in refusal(lambda: saved_run.config_from("a", fields))


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "checkpoints"):
        path.mkdir(exist_ok=True)
        said = refusal(lambda p=path: read_model(explain.Config(checkpoint=str(p))))
        assert said.startswith(f"checkpoint: {str(path)!r} holds no checkpoint and no")


def test_a_module_of_a_run_is_refused(trained):
    config = explain.Config(checkpoint=str(trained), module="cell")
    message = refusal(lambda: read_model(config))
    assert message == (
        "module: got 'cell'; it must not be given for a run, which has one network"
    )


def test_a_lag_beyond_the_sequences_of_the_task_is_refused(trained):
    config = explain.Config(checkpoint=str(trained), lag=LENGTH)
    message = refusal(lambda: explain.run(config))
    assert message.startswith("lag: got 5; it must be in [2, 4], for the 5 steps of 16")


@pytest.mark.slow
def test_a_run_of_layers_in_both_directions_is_explained(tmp_path):
    config = train.Config(
        cell="gru",
        hidden_size=2,
        num_layers=2,
        bidirectional=True,
        length=4,
        num_steps=1,
        batch_size=2,
        test_size=2,
    )
    train.run(config, tmp_path / "run")
    record = explain.run(explain.Config(file=str(tmp_path / "run"), num_examples=2))
    names = [row["layer"] for row in record.rows]
    assert names[:4] == ["0 forward", "0 backward", "1 forward", "1 backward"]
    assert "gru, 2 units in 2 layers, in both directions, after 1" in record.verdict[1]
