"""What can be traced where jax is told to refuse promotions of rank and of dtype."""

import jax
import jax.numpy as jnp
import optax
import pytest
from problems import ONE_OF_EACH_KIND, slow_but

import lstm_jax as lj

KEY = jax.random.key(0)
XS = jax.random.normal(KEY, (5, 4, 3))
LENGTHS = jnp.array([5, 3, 2, 0])


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


@pytest.mark.parametrize("name", slow_but(ONE_OF_EACH_KIND, lj.CELLS))
def test_cells(name):
    cell = lj.CELLS[name]

    def one_step():
        params = cell.init(KEY, 3, 6)
        return cell.step(params, cell.init_carry(params, (4,)), XS[0])

    _, y = jax.eval_shape(one_step)
    assert y.shape[0] == 4


@pytest.mark.parametrize("name", lj.initializers.INITIALIZERS)
def test_initializers(name):
    draw = lj.initializers.INITIALIZERS[name]
    drawn = jax.eval_shape(lambda: draw(KEY, (4, 4), jnp.float32))
    assert drawn.shape == (4, 4)


@pytest.mark.parametrize("name", lj.TASKS)
def test_tasks(name):
    task = lj.TASKS[name]

    def scores():
        batch = task.sample(KEY, 4, 64)
        outputs = jnp.zeros((*batch.weights.shape, task.output_size))
        return task.loss(outputs, batch), task.accuracy(outputs, batch)

    assert [score.shape for score in jax.eval_shape(scores)] == [(), ()]


def last(ys):
    return jnp.sum(ys[-1])


MEASURES = {
    "unroll": lambda p: lj.unroll(lj.LSTM, p, XS, lengths=LENGTHS),
    "log_gradient_norms": lambda p: lj.log_gradient_norms(lj.LSTM, p, XS, last),
    "fit_decay": lambda p: lj.fit_decay(
        lj.gradients.by_lag(jnp.linspace(0.0, 9.0, 40).reshape(10, 4), LENGTHS + 5)
    ),
    "log_path_norms": lambda p: lj.gradients.log_path_norms(lj.LSTM, p, XS, last),
    "log_gradients": lambda p: lj.gradients.log_gradients(lj.LSTM, p, XS, last),
    "lyapunov_spectrum": lambda p: lj.gradients.lyapunov_spectrum(
        lj.LSTM, p, XS[:, 0], 2
    ),
    "product_singular_values": lambda p: lj.gradients.product_singular_values(
        lj.LSTM, p, XS[:, 0]
    ),
    "scan": lambda p: lj.scan(
        lambda p, h, x: (h, h + x @ p.w_ih[:, :6] + p.b[None, :6]),
        p,
        jnp.zeros((4, 6)),
        XS,
    ),
}


@pytest.mark.parametrize("name", MEASURES)
def test_runs_and_measures(name):
    params = jax.eval_shape(lambda: lj.LSTM.init(KEY, 3, 6))
    assert jax.tree.leaves(jax.eval_shape(MEASURES[name], params))


def test_training():
    def trained():
        return lj.train(
            KEY,
            lj.LSTM,
            lj.TASKS["adding"],
            optax.adam(1e-3),
            hidden_size=4,
            num_steps=1,
            batch_size=2,
            length=8,
        )

    _, history = jax.eval_shape(trained)
    assert history.loss.shape == (1,)
