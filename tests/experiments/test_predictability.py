"""Newton's iterations, small: what is counted, and what is drawn of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import lstm_jax as lj
from experiments import predictability
from experiments.common.records import take
from experiments.criteria.predictability import CLEAR


@pytest.fixture(scope="module")
def record(smoke):
    return smoke("predictability")


def test_every_length_is_counted_and_no_length_takes_more_than_its_steps(record):
    iterations = take(record, "iterations")  # cell, gain, seed, length
    lengths = np.array(record.axes["length"])
    assert iterations.shape == (*take(record, "exponent").shape, len(lengths))
    assert (iterations >= 1).all()
    assert (iterations <= lengths).all()


def test_the_net_of_the_source_has_no_self_connections_and_a_drive_of_sines(x64):
    params, _ = predictability.net(lj.RNN, jax.random.key(0), 8, 0.5)
    assert not np.diag(params.w_hh).any()
    assert np.count_nonzero(params.w_hh) == 8 * 7
    u = predictability.drive(jax.random.key(0), 200, 8)
    assert np.abs(u).max() <= 0.2
    # A sine obeys u_{t+1} + u_{t-1} = 2 cos(ω) u_t.
    turn = (u[2:] + u[:-2]) / u[1:-1]
    assert_allclose(turn, jnp.broadcast_to(turn[0], turn.shape), rtol=1e-6)


def test_the_title_says_how_many_on_both_sides(record):
    exponents, found = take(record, "exponent"), take(record, "iterations")[..., -1]
    few, many = (
        f"{np.median(found[side]):.3g}"
        for side in (exponents < -CLEAR, exponents > CLEAR)
    )
    title = predictability.plot(record).get_suptitle().replace("\n", " ")
    assert f"takes {few} iterations where small differences die out" in title
    assert f"and {many} where they grow" in title


def test_nets_on_one_side_alone_have_no_such_title(record):
    exponent = record.arrays["exponent"]
    quiet = exponent._replace(values=np.full_like(exponent.values, -1.0))
    record = record._replace(arrays=record.arrays | {"exponent": quiet})
    title = predictability.plot(record).get_suptitle().replace("\n", " ")
    assert title == "Newton's method on 64 steps at once, by the exponent of the run"
