"""What `help`, `?` and `dir` show of the package, a cell and a task."""

import pickle
import pydoc
import re

import pytest

import lstm_jax as lj


def test_the_package_is_a_table_of_contents_of_its_names():
    text = lj.__doc__ or ""
    missing = [name for name in lj.__all__ if not re.search(rf"\b{name}\b", text)]
    assert missing == ["__version__"]
    shown = pydoc.plain(pydoc.render_doc(lj))
    assert re.search(r"Over time\n +unroll  ", shown)
    assert {"cells", "gradients", "theory", "plots"} <= {*dir(lj)}


def test_a_cell_shows_its_equations_and_options():
    text = lj.LSTM.__doc__ or ""
    assert "c_t = f * c_{t-1} + i * g" in text
    assert "forget_bias=1.0" in text
    assert "c_t = f * c_{t-1} + i * g" in pydoc.render_doc(lj.LSTM)


@pytest.mark.parametrize("name", lj.CELLS)
def test_every_cell_has_equations_of_its_own(name):
    texts = [cell.__doc__ for cell in lj.CELLS.values()]
    assert texts.count(lj.CELLS[name].__doc__) == 1
    assert re.search(r"^    \S.* = ", lj.CELLS[name].__doc__ or "", flags=re.M)
    assert "\n    init(key, input_size, hidden_size" in (lj.CELLS[name].__doc__ or "")


@pytest.mark.parametrize("name", lj.TASKS)
def test_every_task_shows_its_worked_example(name):
    assert "worked example" in (lj.TASKS[name].__doc__ or "")


def test_the_classes_keep_their_own_text():
    assert (lj.Cell.__doc__ or "").startswith(
        "A recurrent cell as three pure functions"
    )
    assert (lj.Task.__doc__ or "").startswith("A question about sequences")
    assert pickle.loads(pickle.dumps(lj.LSTM)) == lj.LSTM


def test_a_cell_of_ones_own_is_described_too():
    def step(params, carry, x):
        """One step of mine: h = x."""
        return x, x

    cell = lj.from_function(step, lambda params, batch_shape: params)
    assert "One step of mine" in (cell.__doc__ or "")


def test_in_print_bundles_are_short():
    assert repr(lj.LSTM) == "<Cell 'lstm'; gates i, f, g, o; memory c>"
    assert repr(lj.RNN) == "<Cell 'rnn'; gates h>"
    assert repr(lj.tasks.ADDING).startswith("<Task 'adding'")
    assert len(repr(lj.tasks.NATURE_SHOW)) < 100
