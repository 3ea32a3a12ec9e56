"""Tasks of batches that come from elsewhere, pulled one for each update."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import lstm_jax as lj
from lstm_jax.tasks import from_batches
from lstm_jax.training import runs

TIME, SIZE = 5, 4
RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(6, TIME, SIZE, 2))
BATCHES = [(inputs, inputs.sum(axis=(0, 2))) for inputs in INPUTS]
HOW: dict[str, Any] = {"hidden_size": 3, "batch_size": SIZE, "length": TIME}
EVALUATED = {"batch_size": SIZE, "length": TIME}
KEY = jax.random.key(0)


def train(task, **options):
    given: dict[str, Any] = {"num_steps": 6} | HOW | options
    return lj.train(KEY, lj.RNN, task, optax.sgd(0.1), **given)


def by_hand(batches):
    """The losses and weights of a loop over the batches."""
    task = from_batches(iter(batches))
    state = lj.training.init_train_state(
        KEY, lj.RNN, task, optax.sgd(0.1), hidden_size=3
    )

    @jax.jit
    def update(params, inputs, targets):
        def loss_fn(params):
            _, ys = lj.unroll(lj.RNN, params.cell, inputs)
            answers = ys[-1] @ params.readout.w + params.readout.b
            return jnp.mean((answers[:, 0] - targets) ** 2)

        loss, gradients = jax.value_and_grad(loss_fn)(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients), loss

    params, losses = state.params, []
    for inputs, targets in batches:
        arrays = jnp.asarray(inputs, jnp.float32), jnp.asarray(targets, jnp.float32)
        params, loss = update(params, *arrays)
        losses.append(loss)
    return params, losses


def assert_close(found, wanted):
    jax.tree.map(partial(assert_allclose, rtol=1e-5, atol=1e-6), found, wanted)


def test_each_update_takes_the_next_batch_and_an_iterator_ends_the_training():
    state, history = train(from_batches(iter(BATCHES)), num_steps=100)
    params, losses = by_hand(BATCHES)
    assert int(state.step) == 6
    assert_close(history.loss, np.stack(losses))
    assert_close(state.params, params)


def test_a_loader_of_torch_begins_again():
    shuffled = torch.utils.data.TensorDataset(torch.ones(8, 2), torch.arange(8.0))

    def collate(examples):
        inputs, targets = zip(*examples, strict=True)
        return torch.stack(inputs).expand(TIME, -1, -1), torch.stack(targets)

    loader = torch.utils.data.DataLoader(shuffled, 4, collate_fn=collate)
    state, history = train(from_batches(loader), num_steps=5)
    assert (int(state.step), history.loss.shape) == (5, (5,))
    assert history.loss[0] != history.loss[2]  # the same batch, other weights


def test_pieces_are_seen_and_may_end_the_training():
    seen = []

    def look(state, history):
        seen.append((int(state.step), history.loss.shape))
        return state.step >= 4

    _, history = train(from_batches(BATCHES), on_chunk=look, chunk=2, num_steps=9)
    assert seen == [(2, (2,)), (4, (2,))]
    assert_array_equal(history.loss, train(from_batches(BATCHES))[1].loss[:4])


def test_a_batch_may_hold_one_example():
    alone = [(inputs[:, :1], targets[:1]) for inputs, targets in BATCHES]
    _, history = train(from_batches(iter(alone)), batch_size=1)
    assert history.loss.shape == (6,)


def test_a_batch_of_another_size_and_lengths_is_taken_as_it_is():
    shorter = (INPUTS[0][:3, :2], np.ones(2), np.array([3, 2]))
    state, history = train(from_batches(iter([BATCHES[0], shorter])))
    assert int(state.step) == 2 and np.isfinite(history.loss).all()


@pytest.mark.slow
def test_classes_at_every_step_and_a_test():
    labels = (INPUTS[..., 0] > 0).astype(int)
    batches = list(zip(INPUTS, labels, strict=True))
    task = from_batches(
        batches, num_classes=2, answers="every_step", test=batches[0], name="signs"
    )
    state, history = train(task)
    assert task.output_size == 2 and abs(history.loss[0] - np.log(2)) < 0.5
    found = lj.evaluate(KEY, lj.RNN, task, state.params, batch_size=SIZE, length=TIME)
    assert np.isfinite(found.loss)


NUMBER: Any = 3
NOTHING: Any = None
REFUSED: dict[str, Any] = {
    "none": (lambda: from_batches([]), "batches: got none; there must be at least one"),
    "no batches": (
        lambda: from_batches(NUMBER),
        "batches: got 3; it must be an iterable",
    ),
    "a batch": (lambda: from_batches([3]), "batches: got 3; each must be (inputs,"),
    "axes": (
        lambda: from_batches([(INPUTS[0].swapaxes(0, 1), BATCHES[0][1])]),
        "inputs: shape is (4, 5, 2), by the targets with the examples first",
    ),
    "features": (
        lambda: train(from_batches([BATCHES[0], (INPUTS[0][..., :1], np.ones(4))])),
        "inputs: shape is (5, 4, 1); it must be (5, 4, 2), (time, batch, input_size)",
    ),
    "a batch size": (
        lambda: train(from_batches(BATCHES), batch_size=3),
        "batch_size: got 3; it must be 4, as the batches have",
    ),
    "no test": (
        lambda: lj.evaluate(
            KEY, lj.RNN, from_batches(BATCHES, name="mine"), NOTHING, **EVALUATED
        ),
        "task: got 'mine' of batches without a test; it must have one",
    ),
    "many": (
        lambda: lj.train_many(
            jax.random.split(KEY, 2),
            lj.RNN,
            from_batches(BATCHES),
            optax.sgd,
            hyperparams={"learning_rate": 0.1},
            num_steps=2,
            **HOW,
        ),
        "task: got 'mine' of batches; it must be one that each run draws from",
    ),
    "a program": (
        lambda: runs.program(
            runs.Recipe(lj.RNN, from_batches(BATCHES), optax.sgd, 3, 4, TIME)
        ),
        "task: got 'mine' of batches; it must be one that each run draws from",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_pulled_is_refused_in_one_line(name):
    make, message = REFUSED[name]
    with pytest.raises((ValueError, TypeError)) as caught:
        make()
    assert str(caught.value)[: len(message)] == message


def test_under_jit_it_is_refused():
    def trained(key):
        task = from_batches(BATCHES)
        return lj.train(key, lj.RNN, task, optax.sgd(0.1), num_steps=2, **HOW)

    with pytest.raises(ValueError, match="task: got 'mine' of batches under jit or"):
        jax.jit(trained)(KEY)
