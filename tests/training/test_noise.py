"""Training of cells that draw random numbers."""

from functools import partial

import jax
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import slow_but
from training.signs import SIGNS, STEPS, momentum, small_start

import lstm_jax as lj
from lstm_jax.training import loop, sharding
from lstm_jax.training.loop import init_train_state, predict

NOISY = {
    "step": lj.zoneout(lj.RNN, 0.5),
    "sequence": lj.cells.variational_dropout(lj.RNN, input_rate=0.5),
    "both": lj.zoneout(lj.cells.variational_dropout(lj.RNN, input_rate=0.5), 0.5),
}


@pytest.mark.slow
@pytest.mark.parametrize("per", slow_but(["both"], NOISY))
def test_an_update_of_a_noisy_cell_goes_down_the_gradient_under_its_noise(per, key):
    cell, optimizer = NOISY[per], momentum()
    start = init_train_state(key, cell, SIGNS, optimizer, hidden_size=2)
    step = loop.step_function(cell, SIGNS, optimizer, **STEPS)
    after, history = jax.jit(step)(start)
    following, key_batch, key_noise = jax.random.split(start.key, 3)
    batch = SIGNS.sample(key_batch, *STEPS.values())

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def by_hand(params):
        keyed = lj.with_keys(key_noise, batch.inputs, per)
        _, ys = lj.unroll(cell, params.cell, keyed)
        outputs = ys[-1] @ params.readout.w + params.readout.b
        quiet = SIGNS.loss(predict(cell, SIGNS, params, batch), batch)
        return SIGNS.loss(outputs, batch), quiet

    (loss, quiet), gradient = by_hand(start.params)
    wanted = jax.tree.map(lambda p, g: p - 0.1 * g, start.params, gradient)
    jax.tree.map(partial(assert_allclose, atol=1e-6), after.params, wanted)
    assert_allclose(history.loss, loss, rtol=1e-6)
    assert abs(loss - quiet) > 1e-4
    assert after.key == following


@pytest.mark.parametrize("per", slow_but(["both"], NOISY))
def test_a_noisy_cell_is_evaluated_without_its_noise(per, key):
    params = small_start(key, momentum()).params

    @jax.jit
    def evaluated(params):
        return [
            lj.evaluate(key, cell, SIGNS, params, batch_size=5, length=4)
            for cell in (NOISY[per], lj.RNN)
        ]

    jax.tree.map(assert_array_equal, *evaluated(params))


def test_noise_is_refused_where_there_is_none_and_where_devices_would_share_it(key):
    params = small_start(key, momentum()).params
    with pytest.raises(ValueError, match="key: it was given, but 'rnn' draws nothing"):
        predict(lj.RNN, SIGNS, params, SIGNS.sample(key, 2, 4), key)
    mesh = jax.make_mesh((1,), ("data",))
    with pytest.raises(ValueError, match=r"cell: got 'zoneout\(rnn\)'; it must be one"):
        sharding.predict_over(mesh, NOISY["step"])
