"""experiments.explain: closed forms, files, and what is refused."""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import safetensors.numpy
import torch

import lstm_jax as lj
from experiments import explain, train
from experiments.common import records
from experiments.common.cli import ConfigError
from experiments.common.records import take
from experiments.explain import measurements, report
from experiments.explain.models import Model, read_model, sequences_of
from experiments.explain.weights_file import read_npz, read_torch
from experiments.train import saved_run
from experiments.train.config import identity
from experiments.train.job import job_of
from experiments.train.saved_run import read_run
from lstm_jax.training import checkpoints
from lstm_jax.training.checkpoints import named_arrays
from lstm_jax.training.loop import begin_training

INPUT, HIDDEN, LAG = 2, 3, 6
SMALL: dict[str, Any] = {"lag": LAG, "num_examples": 2}


def lstm_params(forget_biases):
    """All weights zero, so that every gate is a constant: f = σ(b)."""
    hidden = len(forget_biases)
    none, b = np.zeros(hidden, np.float32), np.asarray(forget_biases, np.float32)
    return lj.LSTMParams(
        w_ih=jnp.zeros((INPUT, 4 * hidden)),
        w_hh=jnp.zeros((hidden, 4 * hidden)),
        b=jnp.concatenate([none, b, none, none]),
    )


def gru_params(update_biases):
    hidden = len(update_biases)
    none, b = np.zeros(hidden, np.float32), np.asarray(update_biases, np.float32)
    return lj.GRUParams(
        w_ih=jnp.zeros((INPUT, 3 * hidden)),
        w_hh=jnp.zeros((hidden, 3 * hidden)),
        b=jnp.concatenate([none, b, none]),
        b_hn=jnp.zeros(hidden),
    )


def save_npz(path, tree):
    arrays: Any = named_arrays(tree)
    np.savez(path, **arrays)
    return str(path)


def save_torch(path, tensors):
    safetensors.numpy.save_file(
        {key: np.ascontiguousarray(value) for key, value in tensors.items()}, path
    )
    return str(path)


def module_arrays(module, prefix=""):
    return {f"{prefix}{k}": v.numpy() for k, v in module.state_dict().items()}


def log_sigmoid(b):
    return -np.log1p(np.exp(-np.asarray(b, np.float64)))


@pytest.mark.parametrize("make", [lstm_params, gru_params])
def test_without_weights_gates_and_gradient_decay_at_ln_sigma(tmp_path, make):
    """f = σ(b) at every step, and the memory is reached along the gate alone."""
    biases = (2.0, 0.5, -1.0)
    path = save_npz(tmp_path / "final.npz", {"cell": make(biases)})
    record = explain.run(explain.Config(weights=path, **SMALL))
    rates = log_sigmoid(biases)
    np.testing.assert_allclose(take(record, "mean_log_gate")[0], rates[None], rtol=1e-5)
    np.testing.assert_allclose(
        take(record, "half_life")[0], np.log(0.5) / rates[None], rtol=1e-5
    )
    # Unit k of the adjoint is u_k σ(b_k)^(steps); its norm is taken over the units.
    key = jax.random.fold_in(jax.random.key(0), 1)
    u = np.asarray(jax.random.normal(key, (2, len(biases))), np.float64)
    if make is lstm_params:  # y = tanh(c) / 2, and c = 0 where nothing was written
        u = u / 2
    lags = np.arange(LAG + 1)[:, None, None]
    norms = np.linalg.norm(u * np.exp(rates * (lags + 1)), axis=-1)
    np.testing.assert_allclose(
        take(record, "log_share")[0].T, np.log(norms / norms[0]), atol=1e-5
    )


def test_one_bias_says_the_same_in_the_table_and_the_verdict(tmp_path):
    path = save_npz(tmp_path / "w.npz", lstm_params([3.0, 3.0]))
    record = explain.run(explain.Config(weights=path, lag=300, num_examples=2))
    (row,) = record.rows
    assert row["its gate, nats per step"] == "-0.0486"
    assert row["gradient, nats per step"] == "-0.0486"
    assert row["half-life, median unit"] == "14.3"  # ln 2 / 0.04859
    assert row["horizon at 1e-6"] == "284"  # ln 1e6 / 0.04859
    text = "\n".join(record.verdict)
    assert "white noise of unit variance" in text
    assert "half is kept by unit 0 for 14.3 steps, unit 1 for 14.3 steps" in text
    assert "it is down to 1e-6 after 284 steps; at lag 300, 4.7e-07 is left" in text
    # ln 2^8, ln 2^11, ln 2^24, each over 0.04859.
    assert "bfloat16 114, float16 157, float32 > 300" in text


@pytest.fixture(scope="module")
def two_layers():
    key_0, key_1 = jax.random.split(jax.random.key(0))
    return (lj.LSTM.init(key_0, INPUT, HIDDEN), lj.LSTM.init(key_1, HIDDEN, HIDDEN))


@pytest.fixture(scope="module")
def of_two_layers(two_layers, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "final.npz"
    path = save_npz(path, {"cell": two_layers, "readout": {"w": 1.0}})
    return explain.run(explain.Config(weights=path, **SMALL))


def test_layers_are_measured_on_what_they_read(two_layers, of_two_layers):
    layers, record = two_layers, of_two_layers
    config = explain.Config(weights="final.npz", **SMALL)
    model = Model(lj.LSTM, layers, None, (INPUT, HIDDEN, HIDDEN), None, "w")
    xs = sequences_of(config, model).inputs
    carries, kept = [lj.LSTM.init_carry(layer, (2,)) for layer in layers], []
    for t, x in enumerate(xs):
        for k, layer in enumerate(layers):
            f = lj.lstm_gates(layer, carries[k].h, x).f
            carries[k], x = lj.LSTM.step(layer, carries[k], x)
            if t >= LAG:
                kept.append((k, np.log(np.asarray(f)).mean(0)))
    for k in range(2):
        wanted = np.mean([log_f for j, log_f in kept if j == k], axis=0)
        np.testing.assert_allclose(
            take(record, "mean_log_gate", layer=k)[0], wanted, rtol=1e-5
        )
    total = np.logaddexp(*(2 * norms for norms in _layer_norms(layers, xs)))
    np.testing.assert_allclose(
        take(record, "log_share")[0].T, 0.5 * (total - total[-1])[::-1], atol=1e-4
    )


def _layer_norms(layers, xs):
    """ln of the norm of each layer's adjoint, by restarting a Python loop."""
    u = jax.random.normal(jax.random.fold_in(jax.random.key(0), 1), (2, HIDDEN))
    cell = lj.stack(lj.LSTM, lj.LSTM)
    carry, _ = lj.unroll(cell, layers, xs[:LAG])

    def answer(carry, xs):
        ys = []
        for x in xs:
            carry, y = cell.step(layers, carry, x)
            ys.append(y)
        return jnp.sum(ys[-1] * u)

    found = []
    for t in range(LAG, len(xs)):
        by_layer = jax.grad(answer)(carry, xs[t:])
        found.append([np.log(np.hypot(*map(_norm, (of.h, of.c)))) for of in by_layer])
        carry, _ = cell.step(layers, carry, xs[t])
    return np.moveaxis(np.array(found), 1, 0)


def _norm(array):
    return np.linalg.norm(array, axis=-1)


def test_a_sequence_is_read_whole_and_backward_from_its_end(tmp_path):
    sequence = np.random.default_rng(0).standard_normal((LAG + 3, INPUT))
    np.save(tmp_path / "mine.npy", sequence)
    module = torch.nn.LSTM(INPUT, HIDDEN, bidirectional=True)
    path = save_torch(tmp_path / "both.safetensors", module_arrays(module))
    directions = lj.from_torch(module.state_dict())
    for direction, order in (("forward", 1), ("backward", -1)):
        config = explain.Config(
            torch=path, sequence=str(tmp_path / "mine.npy"), direction=direction
        )
        model = read_model(config)
        wanted = getattr(directions, direction)
        np.testing.assert_array_equal(model.layers[0].w_hh, wanted.w_hh)
        read = sequences_of(config, model)
        xs = read.inputs
        assert read.lag == LAG + 2
        for example in range(xs.shape[1]):
            np.testing.assert_allclose(xs[:, example], sequence[::order], rtol=1e-6)


def test_a_lag_shorter_than_the_sequence_reads_its_beginning_as_a_warm_up(tmp_path):
    params = lj.GRU.init(jax.random.key(0), INPUT, HIDDEN)
    sequence = np.random.default_rng(0).standard_normal((9, INPUT))
    np.save(tmp_path / "mine.npy", sequence)
    record = explain.run(
        explain.Config(
            weights=save_npz(tmp_path / "w.npz", params),
            sequence=str(tmp_path / "mine.npy"),
            lag=3,
            num_examples=1,
        )
    )
    h, kept = jnp.zeros(HIDDEN), []
    w_z = params.w_ih[:, HIDDEN : 2 * HIDDEN], params.w_hh[:, HIDDEN : 2 * HIDDEN]
    for x in jnp.asarray(sequence, jnp.float32):
        z = jax.nn.sigmoid(x @ w_z[0] + h @ w_z[1] + params.b[HIDDEN : 2 * HIDDEN])
        kept.append(np.log(z))
        h = lj.GRU.step(params, lj.cells.GRUCarry(h=h), x)[1]
    np.testing.assert_allclose(
        take(record, "mean_log_gate", layer=0)[0], np.mean(kept[-4:], axis=0), rtol=1e-5
    )
    assert take(record, "log_share").shape == (1, 1, 4)
    assert "mine.npy" in record.verdict[1]


@pytest.mark.parametrize("make", [torch.nn.LSTM, torch.nn.GRU])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_of_torch_come_out_of_a_model_in_any_dtype(tmp_path, make, dtype):
    from safetensors.torch import save_file

    module = make(INPUT, HIDDEN, num_layers=2).to(dtype)
    tensors = {f"encoder.rnn.{k}": v for k, v in module.state_dict().items()}
    path = str(tmp_path / "model.safetensors")
    save_file(tensors | {"head.weight": torch.ones(2)}, path)
    weights = read_torch(path, None, "forward")
    wanted = lj.from_torch(module.float().state_dict())
    assert read_torch(path, "encoder.rnn", "forward").cell is weights.cell
    for got, want in zip(
        jax.tree.leaves(weights.layers), jax.tree.leaves(wanted), strict=True
    ):
        np.testing.assert_array_equal(got, want)
    assert (weights.input_size, weights.hidden_size) == (INPUT, HIDDEN)


def test_layers_of_npz_are_in_the_order_of_their_numbers(tmp_path):
    layers = tuple(lstm_params([k, k]) for k in range(12))
    path = save_npz(tmp_path / "w.npz", {"a": {"cell": layers}})
    weights = read_npz(path, None)
    assert [float(layer.b[2]) for layer in weights.layers] == list(range(12))


@pytest.mark.parametrize("name", ["", "final.npz"])
def test_a_checkpoint_may_be_final_npz_or_a_folder_of_nothing_else(tmp_path, name):
    save_npz(tmp_path / "final.npz", {"cell": lstm_params([1.0])})
    config = explain.Config(checkpoint=str(tmp_path / name))
    assert read_model(config).cell is lj.LSTM


# -- a run of experiments.train ------------------------------------------------------


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
        saved_run._zeros_like(of),
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


def test_a_run_is_measured_on_its_own_task_by_its_answer(trained, of_trained):
    assert of_trained.config["cell"] == "lstm"
    assert (
        "lstm, 3 units, after 4 updates on adding of 5 steps" in of_trained.verdict[1]
    )
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


def test_the_figure_of_a_run_has_what_it_began_with(trained, of_trained):
    figure = explain.plot(of_trained)
    gates, gradient = figure.axes
    assert figure.get_suptitle().startswith(f"{trained.name}: lstm, 3 units, after 4")
    assert len(gates.lines) == 3  # before, after, and the lag
    assert "before training" in gradient.get_legend_handles_labels()[1]


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
    assert "of step 4 is not whole" in report._passed_over(found)[0]
    assert "this is that of step 2" in report._passed_over(found)[0]
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
    found = measure(model.layers, model.readout, read.inputs, read.counts)
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
    "no gate": ({"cell": "rnn"}, "cell: got 'rnn'; it must be one that keeps a memory"),
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
    assert message in refusal(lambda: saved_run._config("a", fields))


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "checkpoints"):
        path.mkdir(exist_ok=True)
        said = refusal(lambda p=path: read_model(explain.Config(checkpoint=str(p))))
        assert said.startswith(f"checkpoint: {str(path)!r} holds no checkpoint and no")


def test_a_module_of_a_run_is_refused(trained):
    config = explain.Config(checkpoint=str(trained), module="cell")
    message = refusal(lambda: read_model(config))
    assert message == (
        "module: got 'cell'; it must not be given for a run, which has one cell"
    )


def test_a_lag_beyond_the_sequences_of_the_task_is_refused(trained):
    config = explain.Config(checkpoint=str(trained), lag=LENGTH)
    message = refusal(lambda: explain.run(config))
    assert message.startswith("lag: got 5; it must be in [2, 4], for the 5 steps of 16")


def with_half_lives(record, values):
    of_units = record.arrays["half_life"]._replace(values=values)
    return record._replace(arrays=record.arrays | {"half_life": of_units})


def test_a_record_draws_both_panels_and_comes_back_from_disk(of_two_layers, tmp_path):
    half_lives = take(of_two_layers, "half_life").copy()
    half_lives[0, 0, :2] = 0, np.inf  # of gates that are 0, and 1
    record = with_half_lives(of_two_layers, half_lives)
    records.save(record, explain.plot(record), tmp_path / "out")
    figure = explain.plot(records.load(tmp_path / "out"))
    gates, gradient = figure.axes
    assert len(gates.lines) == 3  # two layers and the lag
    assert gradient.get_title(loc="left") == "How far back the gradient reaches"
    assert "white noise" in figure.get_suptitle()
    assert json.loads((tmp_path / "out" / "record.json").read_text())["rows"]


def test_where_every_unit_keeps_all_the_panel_says_so(of_two_layers):
    lasting = np.full_like(take(of_two_layers, "half_life"), np.inf)
    gates, _ = explain.plot(with_half_lives(of_two_layers, lasting)).axes
    assert "every unit keeps all it holds" in [text.get_text() for text in gates.texts]
    assert gates.get_xlim() == (0.5, HIDDEN + 0.5)
    assert gates.get_ylim() == (1, 10 * LAG)


# -- what is refused ----------------------------------------------------------------


LSTM = module_arrays(torch.nn.LSTM(INPUT, HIDDEN))
TWO_LAYERS = module_arrays(torch.nn.LSTM(INPUT, HIDDEN, num_layers=2))
BAD_TORCH: dict[str, Any] = {
    "no rnn": ({"head.weight": np.ones(2)}, "holds head.weight; it must hold the"),
    "empty": ({}, "holds nothing; it must hold the weights of a torch.nn.LSTM"),
    "an RNN": (
        module_arrays(torch.nn.RNN(INPUT, HIDDEN)),
        "holds RNN; it must be an LSTM or a GRU, the same in all layers",
    ),
    "projection": (
        module_arrays(torch.nn.LSTM(INPUT, HIDDEN, proj_size=1)),
        "state_dict: unknown key 'weight_hr_l0'",
    ),
    "shapes": (
        LSTM | {"weight_ih_l0": np.ones((5, INPUT), np.float32)},
        "state_dict: weight_ih_l0 has shape (5, 2); it must be (12, 2) to fit",
    ),
    "mixed layers": (
        TWO_LAYERS | {"weight_hh_l1": np.ones((9, HIDDEN), np.float32)},
        "state_dict: weight_hh_l1 has shape (9, 3); it must be (12, 3) to fit",
    ),
    "nan": (
        LSTM | {"bias_ih_l0": np.full(12, np.nan, np.float32)},
        "holds 'bias_ih_l0' with nan; weights must be finite in float32",
    ),
    "beyond float32": (
        {k: v.astype(np.float64) for k, v in LSTM.items()}
        | {"weight_hh_l0": np.full((12, 3), 1e39)},
        "holds 'weight_hh_l0' with 1e+39; weights must be finite in float32",
    ),
    "a sum beyond float32": (
        LSTM | {b: np.full(12, 3e38, np.float32) for b in ("bias_ih_l0", "bias_hh_l0")},
        "holds weights that are NaN or infinite in float32; they must be finite",
    ),
    "integers": (
        {key: np.ones(value.shape, np.int32) for key, value in LSTM.items()},
        "as I32; it must be F16, BF16, F32, F64",
    ),
    "two ways in two layers": (
        module_arrays(torch.nn.LSTM(INPUT, 3, num_layers=2, bidirectional=True)),
        "holds 2 bidirectional layers, in which every output sees both ends",
    ),
}
GOOD = {f: np.asarray(v) for f, v in lstm_params([1.0, 1.0])._asdict().items()}
BAD_NPZ: dict[str, Any] = {
    "nothing": ({"readout/w": np.ones(3)}, "holds readout/w; it must hold an LSTM or"),
    "cifg": (
        {k: v[..., :6] for k, v in GOOD.items()},
        "holds b (6,), w_hh (2, 6), w_ih (2, 6); it must be an LSTM, w_ih (input, 4 *",
    ),
    "layer norm": (
        GOOD | {"scale_ih": np.ones(8)},
        "holds b (8,), scale_ih (8,), w_hh (2, 8), w_ih (2, 8); it must be an LSTM",
    ),
    "a number": (GOOD | {"w_hh": np.float32(1)}, "w_hh (), w_ih (2, 8); it must be"),
    "integers": (
        {k: v.astype(np.int32) for k, v in GOOD.items()},
        "holds int32; it must be real numbers",
    ),
    "infinite": (GOOD | {"b": np.full(8, np.inf)}, "holds 'b' with inf; weights must"),
    "beyond float32": (GOOD | {"b": np.full(8, 1e39)}, "holds 'b' with 1e+39; weights"),
    "mixed layers": (
        {f"0/{k}": v for k, v in GOOD.items()}
        | {f"1/{k}": v for k, v in gru_params([1.0, 1.0])._asdict().items()},
        "holds GRU, LSTM; it must be an LSTM or a GRU, the same in all layers",
    ),
    "layers that do not fit": (
        {f"0/{k}": v for k, v in GOOD.items()}
        | {f"1/{k}": v for k, v in (GOOD | {"w_ih": np.ones((3, 8))}).items()},
        "has w_ih (3, 8) in an upper layer; it must be (2, 8) to fit the layer below",
    ),
}


def refusal(action):
    with pytest.raises(ConfigError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("case", BAD_TORCH)
def test_other_weights_of_torch_are_refused_in_one_line(tmp_path, case):
    arrays, found = BAD_TORCH[case]
    path = save_torch(tmp_path / "w.safetensors", arrays)
    message = refusal(lambda: explain.run(explain.Config(torch=path)))
    assert message.startswith(f"torch: {path!r}")
    assert found in message


@pytest.mark.parametrize("case", BAD_NPZ)
def test_other_params_are_refused_in_one_line(tmp_path, case):
    arrays, found = BAD_NPZ[case]
    np.savez(tmp_path / "w.npz", **arrays)
    path = str(tmp_path / "w.npz")
    message = refusal(lambda: explain.run(explain.Config(weights=path)))
    assert message.startswith(f"weights: {path!r}")
    assert found in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "torch, weights, checkpoint: got [None, None, None]; it must be exactly"),
        (
            {"torch": "a", "weights": "b"},
            "torch, weights, checkpoint: got ['a', 'b', N",
        ),
        ({"torch": "a.pt"}, "torch: got 'a.pt'; it must be a .safetensors file, as"),
        ({"torch": "a.safetensors"}, "torch: 'a.safetensors' can't be read (No such"),
        ({"weights": "a.npz"}, "weights: 'a.npz' can't be read (No such file"),
        ({"checkpoint": "a"}, "checkpoint: 'a' can't be read (No such file"),
        ({"weights": "a.npz", "of_seed": 1}, "of_seed: got 1; it must not be given"),
        (
            {"weights": "a.npz", "lag": 1},
            "lag: got 1; it must be an integer, at least 2",
        ),
        ({"weights": "a", "direction": "up"}, "direction: got 'up'; it must be one of"),
        (
            {"weights": "a.npz", "direction": "backward"},
            "direction: got 'backward'; it",
        ),
    ],
)
def test_options_are_refused_in_one_line(options, message):
    assert refusal(lambda: explain.run(explain.Config(**options))).startswith(message)


def test_files_of_another_kind_are_refused(tmp_path):
    for name, flag in (("a.safetensors", "torch"), ("a.npz", "weights")):
        path = tmp_path / name
        path.write_bytes(b"junk" * 10)
        options: Any = {flag: str(path)}
        config = explain.Config(**options)
        assert f"{name}' is no .{path.suffix[1:]} file" in refusal(
            lambda config=config: explain.run(config)
        )
    np.save(tmp_path / "a.npy", np.ones(3))
    path = str(tmp_path / "a.npy")
    assert "is no .npz file" in refusal(lambda: read_npz(path, None))


def test_one_of_several_is_asked_for_by_name(tmp_path):
    path = save_torch(
        tmp_path / "w.safetensors",
        {f"{m}.{k}": v for m in ("enc", "dec") for k, v in LSTM.items()},
    )
    message = refusal(lambda: read_torch(path, None, "forward"))
    assert message.startswith("module: got None; it must be one of those in ")
    assert message.endswith(": 'dec', 'enc'")
    assert read_torch(path, "dec", "forward").cell is lj.LSTM
    assert "direction: got 'backward'" in refusal(
        lambda: read_torch(path, "dec", "backward")
    )
    both: Any = {f"{m}/{k}": v for m in "ab" for k, v in GOOD.items()}
    np.savez(tmp_path / "w.npz", **both)
    npz = str(tmp_path / "w.npz")
    assert refusal(lambda: read_npz(npz, "c")).startswith("module: got 'c'; it must")
    assert read_npz(npz, "b").cell is lj.LSTM


def test_a_sequence_must_fit_the_weights(tmp_path):
    weights = save_npz(tmp_path / "w.npz", lstm_params([1.0]))
    np.save(tmp_path / "x.npy", np.zeros((5, INPUT)))
    np.save(tmp_path / "wide.npy", np.zeros((5, INPUT + 1)))
    mine, wide = str(tmp_path / "x.npy"), str(tmp_path / "wide.npy")

    def run(**options: Any):
        return refusal(lambda: explain.run(explain.Config(weights=weights, **options)))

    assert "has 3 features per step; it must have 2" in run(sequence=wide)
    assert run(sequence=mine, lag=5).startswith("lag: got 5; it must be in [2, 4]")
    assert "No such file" in run(sequence=str(Path(tmp_path) / "none.npy"))
