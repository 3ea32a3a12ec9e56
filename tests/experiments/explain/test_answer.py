"""Where an answer came from: the parts add up, and lie where the input was."""

import jax
import jax.numpy as jnp
import numpy as np
from weight_files import HIDDEN, INPUT, save_npz

import lstm_jax as lj
from experiments import explain
from experiments.common.records import take


def test_the_parts_add_up_and_name_the_input_that_made_it(tmp_path):
    params = lj.RNN.init(jax.random.key(0), INPUT, HIDDEN)
    params = params._replace(w_ih=params.w_ih.at[1].set(0), b=jnp.zeros(HIDDEN))
    sequence = np.random.default_rng(0).standard_normal((9, INPUT))
    sequence[-4:] = 0  # so that nothing can come from the last four steps
    np.savetxt(
        tmp_path / "mine.csv", sequence, delimiter=",", header="heard,mute", comments=""
    )
    record = explain.run(
        explain.Config(
            file=save_npz(tmp_path / "w.npz", params),
            sequence=str(tmp_path / "mine.csv"),
            scale="none",
            num_examples=1,
        )
    )
    xs = jnp.asarray(sequence, jnp.float32)
    # Nothing in, nothing out: without biases an RNN stays at zero.
    length = jnp.linalg.norm(lj.unroll(lj.RNN, params, xs)[1][-1])
    parts = take(record, "attribution")[0, 0]
    np.testing.assert_allclose(parts.sum(), length, rtol=1e-5)
    np.testing.assert_array_equal(parts[:4], 0)
    assert (np.abs(parts[4:]) > 0).all()
    by_input = take(record, "input_attribution")[0, 0]
    assert by_input[0] > 0
    assert by_input[1] == 0
    assert record.axes["input"] == ["'heard'", "'mute'"]
    (line,) = (line for line in record.verdict if line.startswith("  inputs:   the"))
    assert line == "  inputs:   the answer is made of 'heard' 100%, 'mute' 0%"
