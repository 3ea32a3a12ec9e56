"""Cells and tasks are made once, and pickled by how they were made."""

import copy
import pickle
import subprocess
import sys

import haiku as hk
import jax.numpy as jnp
import pytest

import lstm_jax as lj


def step(params, carry, x):
    return carry + x @ params, carry


def begin(params, batch_shape):
    return jnp.zeros((*batch_shape, params.shape[1]))


def core():
    return hk.LSTM(3)


CELLS = [
    *lj.CELLS.values(),
    lj.rnn("relu"),
    lj.cells.lstm97(block_size=2),
    lj.stack(lj.LSTM, lj.rnn("logistic")),
    lj.zoneout(lj.stack(lj.cells.LSTM97, lj.GRU), 0.1),
    lj.zoneout(lj.LSTM, h=0.05, c=0.5),
    lj.cells.variational_dropout(lj.LSTM, input_rate=0.1),
    lj.mixed(lj.GRU),
    lj.stack(lj.LSTM, lj.cells.variational_dropout(lj.LSTM, input_rate=0.3)),
    lj.learned_carry(lj.residual(lj.LSTM)),
    lj.cells.block_diagonal(lj.rnn("relu"), 2),
    lj.from_function(step, begin, input_axes={"image": 3, "word": 0}),
    lj.from_haiku(core),
]
TASKS = [*lj.TASKS.values(), lj.tasks.character_language("some text, some more text")]


@pytest.mark.parametrize("made", [*CELLS, *TASKS], ids=lambda made: made.name)
def test_pickled_and_copied_it_is_equal(made):
    for again in (pickle.loads(pickle.dumps(made)), copy.copy(made)):
        assert again == made and hash(again) == hash(made)
    assert copy.deepcopy(made) == made


def test_another_process_makes_the_same():
    names = [made.name for made in [*lj.CELLS.values(), *TASKS]]
    sent = pickle.dumps([*lj.CELLS.values(), *TASKS])
    read = "import pickle, sys; made = pickle.load(sys.stdin.buffer)"
    show = "print([m.name for m in made]); print(made[0] is not None)"
    told = subprocess.run(
        [sys.executable, "-c", f"{read}; {show}"],
        input=sent,
        capture_output=True,
        check=True,
    )
    assert told.stdout.decode().splitlines()[0] == str(names)


def test_what_a_pickled_cell_computes():
    cell = pickle.loads(pickle.dumps(lj.cells.IRNN))
    assert cell.step is lj.cells.IRNN.step and cell.init is lj.cells.IRNN.init


def test_a_step_without_a_place_is_refused_by_pickle_itself():
    cell = lj.from_function(lambda p, c, x: (c, x), begin, lambda *_: 0)
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        pickle.dumps(cell)
