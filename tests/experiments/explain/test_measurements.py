"""What is measured of gates and gradients, beside closed forms and Python loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from weight_files import (
    HIDDEN,
    INPUT,
    LAG,
    SMALL,
    gru_params,
    lstm_params,
    save_npz,
)

import lstm_jax as lj
from experiments import explain
from experiments.common.records import take
from experiments.explain.models import Model, sequences_of
from experiments.explain.network import Block


def log_sigmoid(b):
    return -np.log1p(np.exp(-np.asarray(b, np.float64)))


@pytest.mark.slow
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
    assert record.axes["path"][0] == "cell"
    by_path = take(record, "path_share")
    np.testing.assert_allclose(by_path[0], 1, rtol=1e-6)
    np.testing.assert_allclose(by_path[1:], 0, atol=1e-6)
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_layers_are_measured_on_what_they_read(two_layers, of_two_layers):
    layers, record = two_layers, of_two_layers
    config = explain.Config(weights="final.npz", **SMALL)
    model = Model(
        (Block((lj.LSTM,) * 2),), (layers,), None, (INPUT, HIDDEN, HIDDEN), None, "w"
    )
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


@pytest.mark.slow
def test_a_lag_shorter_than_the_sequence_reads_its_beginning_as_a_warm_up(tmp_path):
    params = lj.GRU.init(jax.random.key(0), INPUT, HIDDEN)
    sequence = np.random.default_rng(0).standard_normal((9, INPUT))
    np.save(tmp_path / "mine.npy", sequence)
    record = explain.run(
        explain.Config(
            weights=save_npz(tmp_path / "w.npz", params),
            sequence=str(tmp_path / "mine.npy"),
            scale="none",
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


@pytest.mark.slow
def test_a_network_without_forget_gates_has_a_gradient_and_an_answer(tmp_path):
    """W = I / 2 where tanh is straight: half is left at every step."""
    params = lj.RNN.init(jax.random.key(0), INPUT, HIDDEN)._asdict()
    params |= {"w_hh": np.eye(HIDDEN) / 2, "w_ih": params["w_ih"] * 1e-4}
    record = explain.run(
        explain.Config(file=save_npz(tmp_path / "rnn.npz", params), **SMALL)
    )
    shares = take(record, "log_share", stage="trained")
    np.testing.assert_allclose(shares[0], -np.arange(LAG + 1) * np.log(2), atol=1e-3)
    assert "half_life" not in record.arrays
    assert record.rows[0]["slowest unit"] == "-"
    (line,) = (line for line in record.verdict if line.startswith("  gates:"))
    assert line.endswith("rnn has no forget gate: only recurrent weights keep anything")
    figure = explain.plot(record)
    assert len(figure.axes) == 2
    assert figure.get_suptitle() == "0.016 of the gradient is left at lag 6"
