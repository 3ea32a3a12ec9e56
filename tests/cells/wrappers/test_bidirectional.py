"""bidirectional: two directions as one layer, in every place a layer can be."""

import jax
import jax.numpy as jnp
import pytest
from cells.short_runs import BATCH, HIDDEN, INPUT, TIME, close, sequence

import lstm_jax as lj
from lstm_jax.cells.stochastic import without_noise
from lstm_jax.training.models import init_model, predict

LAYER = lj.cells.bidirectional(lj.LSTM)


def test_a_layer_is_two_unrolls_side_by_side(x64, key):
    params = LAYER.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    xs, lengths = sequence(key), jnp.arange(BATCH) + 1
    carry, ys = lj.unroll(LAYER, params, xs, lengths=lengths)
    pair = lj.LSTM, lj.LSTM
    carries, wanted = lj.unroll_bidirectional(pair, params, xs, lengths=lengths)
    close((tuple(carry), ys), (carries, wanted), 0)
    swapped = lj.adapters.Directions(params.backward, params.forward)
    _, turned = lj.unroll(LAYER, swapped, xs, lengths=lengths, reverse=True)
    close(turned, jnp.roll(wanted, HIDDEN, axis=-1), 0)


def test_a_stack_reads_both_directions_of_the_layer_below(x64, key):
    net = lj.stack(LAYER, LAYER)
    params = net.init(key, INPUT, HIDDEN, dtype=jnp.float64)
    xs = sequence(key)
    carry, ys = lj.unroll(net, params, xs)
    wanted = xs
    for of_layer in params:
        _, wanted = lj.unroll(LAYER, of_layer, wanted)
    close(ys, wanted, 0)
    close(lj.unroll(net, params, xs, carry)[0][0].forward.c.shape, (BATCH, HIDDEN), 0)


@pytest.mark.slow
def test_an_answer_at_the_last_step_is_read_where_each_direction_ends(x64, key):
    task = lj.tasks.PARITY
    net = lj.stack(LAYER, LAYER)
    options = {"dtype": jnp.float64}
    model = init_model(
        key, net, task.input_size, 2, hidden_size=HIDDEN, init_options=options
    )
    batch = task.sample(key, 3, TIME)
    batch = batch._replace(lengths=jnp.array([TIME, 1, 2]))
    answers = predict(net, task, model, batch)
    for answer, length, xs in zip(
        answers, batch.lengths, batch.inputs.swapaxes(0, 1), strict=True
    ):
        _, ys = lj.unroll(net, model.cell, xs[:length].astype(float))
        read = jnp.concatenate([ys[-1, :HIDDEN], ys[0, HIDDEN:]])
        close(answer, read @ model.readout.w + model.readout.b)


def test_each_direction_of_a_cell_that_draws_has_its_own_noise(key):
    cell = lj.cells.bidirectional(lj.zoneout(lj.RNN, 0.5))
    params = cell.init(key, INPUT, HIDDEN)
    params = lj.adapters.Directions(params.forward, params.forward)
    xs = jnp.ones((1, BATCH, INPUT))
    _, ys = lj.unroll(cell, params, lj.with_keys(key, xs))
    forward, backward = jnp.split(ys[0], 2, axis=-1)
    assert ((forward == 0) != (backward == 0)).any()
    assert without_noise(cell) == lj.cells.bidirectional(lj.RNN)


@pytest.mark.parametrize("run", [lj.unroll_carries, lj.carry_gradients])
def test_what_goes_step_by_step_refuses_it(key, run):
    params = LAYER.init(key, INPUT, HIDDEN)
    more = (lambda ys: ys.sum(),) if run is lj.carry_gradients else ()
    with pytest.raises(ValueError, match=r"cell: got 'bidirectional\(lstm\)', which"):
        run(LAYER, params, jnp.ones((TIME, BATCH, INPUT)), *more)


def test_a_wrapper_around_it_refuses_it(key):
    params = LAYER.init(key, INPUT, HIDDEN)
    with pytest.raises(ValueError, match="which has no single step"):
        jax.eval_shape(lj.mixed(LAYER).step, params, LAYER.init_carry(params), 0.0)
