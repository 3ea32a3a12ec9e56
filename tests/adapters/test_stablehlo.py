"""to_stablehlo: a process that does not know this library gives the same."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from adapters.networks import READOUT, drawn, network
from problems import ONE_OF_EACH_KIND, slow_but

import lstm_jax as lj
from lstm_jax.readouts import linear

ELSEWHERE = """
import sys
import numpy as np
from jax import export

content = open("model.stablehlo", "rb").read()
program = export.deserialize(content)
for time, batch in ((5, 2), (1, 3)):
    x = np.random.default_rng(0).standard_normal((time, batch, 3), np.float32)
    memory = {name: np.zeros((batch, 4), np.float32) for name in "hc"}
    y, memory = program.call(x, memory)
    np.savez(f"{time}.npz", x=x, y=y, **memory)
assert "lstm_jax" not in sys.modules
"""


def test_another_process_runs_it(tmp_path):
    params = drawn(lj.LSTM)
    content = lj.adapters.to_stablehlo(lj.LSTM, params, 3, READOUT)
    (tmp_path / "model.stablehlo").write_bytes(content)
    subprocess.run([sys.executable, "-c", ELSEWHERE], cwd=tmp_path, check=True)
    for time in (5, 1):
        with np.load(tmp_path / f"{time}.npz") as file:
            found = dict(file)
        carry, ys = lj.unroll(lj.LSTM, params, jnp.asarray(found["x"]))
        wanted = carry._asdict() | {"y": linear(READOUT, ys)}
        for name, array in wanted.items():
            np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-6)


def program_of(one):
    """The program, and an empty memory for two sequences."""
    content = lj.adapters.to_stablehlo(one.cell, one.params, 3, one.readout)
    program = jax.export.deserialize(bytearray(content))
    _, shapes = jax.tree.unflatten(program.in_tree, program.in_avals)[0]
    sizes = {name: [2, *aval.shape[1:]] for name, aval in shapes.items()}
    return program, {name: jnp.zeros(size) for name, size in sizes.items()}


def assert_same(one):
    """At once here, in two pieces there, the memory handed on."""
    program, memory = program_of(one)
    xs = jnp.asarray(np.random.default_rng(0).standard_normal((5, 2, 3)), jnp.float32)
    first, memory = program.call(xs[:2], memory)
    rest, memory = program.call(xs[2:], memory)
    carry, ys = lj.adapters.run(one, xs)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
    close(jnp.concatenate([first, rest]), ys)
    for path, leaf in jax.tree_util.tree_leaves_with_path(carry):
        close(memory[jax.tree_util.keystr(path, simple=True, separator="/")], leaf)


@pytest.mark.parametrize("name", slow_but(ONE_OF_EACH_KIND, lj.CELLS))
def test_every_cell(name):
    assert_same(network(lj.CELLS[name]))


def test_a_stack():
    assert_same(network(lj.FOUR_GATE, layers=2))


def test_both_directions_of_two_layers():
    one = network(lj.GRU, layers=2, directions=2)
    program, memory = program_of(one)
    xs = jnp.ones((5, 2, 3))
    y, _ = program.call(xs, memory)
    np.testing.assert_allclose(y, lj.adapters.run(one, xs)[1], rtol=0, atol=1e-6)


LEARNED = lj.cells.learned_carry(lj.RNN)
BEGINS = jax.tree.map(jnp.ones_like, LEARNED.init(jax.random.key(0), 3, 4))
TWO = lj.from_function(
    lambda params, carry, x: (carry, carry),
    lambda params, batch_shape: jnp.zeros((*batch_shape, 4)),
    input_axes={"image": 3, "word": 0},
)
REFUSED = {
    "size": (lj.LSTM, drawn(lj.LSTM), 0, "input_size: got 0; "),
    "learned": (LEARNED, BEGINS, 3, "cell: the memory of .* begins with learned"),
    "inputs": (TWO, {"w": jnp.ones(3)}, 3, r"which does not read \(batch, input\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_such_program_is_refused(case):
    cell, params, input_size, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        lj.adapters.to_stablehlo(cell, params, input_size)
