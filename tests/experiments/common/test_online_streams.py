"""On-line training on streams: one symbol at a time, and what ends a stream."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import in_float64

from experiments.common import forget_net, online_streams
from experiments.common.online_streams import KINDS, Setting
from lstm_jax.tasks.embedded_reber import ALPHABET

init = jax.jit(forget_net.init, static_argnames="dtype")
LONG = Setting(num_symbols=1, most_symbols=1000, reading="within")


def one_hot(symbol):
    return jax.nn.one_hot(ALPHABET.index(symbol), 7, dtype=jnp.float64)


def begun(setting=LONG, kind="forget", *, knowing=""):
    """A net at the first symbol; it always predicts the symbols that it knows."""
    drawn = init(jax.random.key(0), dtype=jnp.float64)
    biases = 100 * sum(map(one_hot, knowing), jnp.full(7, -0.5))
    known = drawn._replace(outputs=drawn.outputs.at[-1].set(biases))
    return online_streams.begin(known if knowing else drawn, setting.rate)


@jax.jit
def first_step(net, target):
    return forget_net.step(net.weights, net.memory, one_hot("B"), target)


def after(setting, kind, net, coin=0):
    return online_streams.advance(setting, KINDS[kind], net, jnp.array(coin, jnp.int32))


@in_float64
def test_an_update_is_the_rate_times_the_gradient_and_the_rate_falls():
    """After the first B of the grammar come T or P, as the coin has it."""
    for reading, targets in {"most_active": "T", "within": "TP"}.items():
        setting = LONG._replace(reading=reading)
        net = begun(setting)
        found = first_step(net, sum(map(one_hot, targets)))
        moved = after(setting, "forget_decay", net)
        wanted = jax.tree.map(lambda w, g: w - 0.5 * g, net.weights, found.gradient)
        jax.tree.map(partial(assert_allclose, rtol=1e-12), moved.weights, wanted)
        assert moved.counts.streams == 1  # an untrained net is wrong
        assert moved.rate == 0.5
    right = after(LONG, "forget_decay", begun(knowing="TP"))
    assert_allclose(right.rate, 0.5 * 0.99)
    assert right.symbol == ALPHABET.index("T")
    assert after(LONG, "forget", begun(knowing="TP"), coin=1).symbol == 2


@in_float64
def test_a_stream_ends_at_an_error_or_its_length_and_leaves_nothing():
    short = LONG._replace(most_symbols=1)
    for setting, known in ((LONG, "T"), (short, "TP")):
        ended = after(setting, "forget", begun(knowing=known))
        assert_array_equal([np.abs(v).max() for v in ended.memory], 0)
        assert (ended.symbol, ended.state, ended.steps) == (0, online_streams.BEGUN, 0)
        assert (ended.passed, ended.counts.streams) == (0, 1)
    going = after(LONG, "forget", begun(knowing="TP"))
    assert min(np.abs(v).max() for v in going.memory) > 0
    assert (going.passed, going.steps, going.counts.symbols) == (-1, 1, 1)


@in_float64
def test_tests_leave_the_weights_and_make_a_net_perfect_or_train_it_again():
    short = LONG._replace(most_symbols=1, num_tests=2)
    tested = after(short, "forget", begun(knowing="TP"))
    wrong = after(short, "forget", tested._replace(weights=begun().weights))
    assert (wrong.passed, wrong.counts.perfect_at) == (-1, -1)
    perfect = after(short, "forget", after(short, "forget", tested))
    assert (perfect.counts.perfect_at, perfect.counts.test_streams) == (1, 2)
    for done in (perfect, wrong._replace(counts=wrong.counts._replace(streams=30_000))):
        later = after(short, "forget", after(short, "forget", done))
        jax.tree.map(assert_array_equal, later.weights, done.weights)
        jax.tree.map(assert_array_equal, later.counts, done.counts)


@in_float64
def test_with_resets_a_string_ends_empty_and_what_follows_is_not_asked():
    net = begun()
    at_e = net._replace(symbol=jnp.array(ALPHABET.index("E")), state=jnp.array(0))
    asked, emptied = after(LONG, "nfg", at_e), after(LONG, "nfg_resets", at_e)
    assert (asked.counts.streams, emptied.counts.streams) == (1, 0)
    assert (emptied.symbol, emptied.state) == (0, online_streams.BEGUN)
    assert_array_equal([np.abs(v).max() for v in emptied.memory], 0)
    jax.tree.map(assert_array_equal, emptied.weights, at_e.weights)


def test_what_counts_as_a_prediction():
    legal = jnp.array([True, True, False])
    outputs = jnp.array([[0.6, 0.9, 0.4], [0.5, 0.9, 0.4], [0.6, 0.9, 0.5]])
    of = lambda reading: online_streams.is_right(reading, outputs, legal).tolist()
    assert of("within") == [True, False, False]
    assert of("most_active") == [True, True, True]
    assert not online_streams.is_right("most_active", jnp.array([0.4, 0.9, 0.4]), legal)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_symbols": 0}, "num_symbols: got 0; it must be at least 1"),
        ({"rate": 0.0}, "rate: got 0.0; it must be above 0"),
        ({"reading": "lax"}, "reading: got 'lax'"),
    ],
)
def test_bad_settings_are_refused(wrong, message):
    with pytest.raises(ValueError, match="^" + message):
        online_streams.check(LONG._replace(**wrong))


def test_every_net_and_every_call_has_coins_of_its_own():
    keys = jax.random.split(jax.random.key(0), 2)
    (one, other), (later, _) = (online_streams.coins(keys, k).T for k in range(2))
    assert abs(one.mean() - 0.5) < 0.02
    for drawn in (other, later):
        assert 0.45 < (one == drawn).mean() < 0.55
