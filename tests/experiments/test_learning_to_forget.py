"""A stream without resets, small: what is counted, and a forget gate that is open."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import lstm_jax as lj
from experiments.common.errors import ConfigError
from experiments.common.records import Quantity, take
from experiments.criteria.learning_to_forget import checks, learnt_after, table
from experiments.figures.learning_to_forget import finding, plot
from experiments.learning_to_forget import (
    FORGET_BIASES,
    Config,
    begins,
    checkpoints,
    scored,
)
from lstm_jax.tasks.embedded_reber import ALPHABET, CONTINUAL, symbols_of
from lstm_jax.tasks.grammar import legal_next


@pytest.fixture(scope="module")
def streams():
    return lj.tasks.CONTINUAL_EMBEDDED_REBER.sample(jax.random.key(0), 100, 1000)


def test_a_gate_held_open_forgets_nothing_and_learns_nothing():
    held = FORGET_BIASES["lstm_nfg"]
    params = lj.LSTM.init(jax.random.key(0), 7, 4, forget_bias=held)
    xs = jax.random.normal(jax.random.key(1), (20, 3, 7))
    assert (lj.trace(lj.LSTM, params, xs)["f"] == 1).all()
    gradient = jax.grad(lambda p: lj.unroll(lj.LSTM, p, xs)[1].sum())(params)
    of_f = [np.split(np.asarray(leaf), 4, -1)[1] for leaf in gradient]
    assert all((leaf == 0).all() for leaf in of_f)


def test_a_string_begins_at_the_b_after_an_e(streams):
    text = "".join(ALPHABET[k] for k in np.asarray(symbols_of(streams))[:, 0])
    found = np.flatnonzero(np.asarray(begins(streams))[:, 0])
    ends = [at for at in range(len(text)) if text[at : at + 2] == "EB"]
    assert_allclose(found, [0, *(at + 1 for at in ends)])


@pytest.mark.slow
@pytest.mark.parametrize("resets", [False, True])
def test_who_knows_everything_pays_seven_bits_a_string(streams, resets):
    """Of the legal symbols, the one that repeats the second has no rival."""
    legal = legal_next(CONTINUAL, symbols_of(streams))
    outputs, memory = jnp.where(legal, 0.0, -40.0), 3 * jnp.ones((1000, 100, 1))
    found = scored(outputs, memory, streams, resets)
    assert (found.accuracy, found.faultless) == (1, 1)
    assert_allclose(found.string_nats, 7 * np.log(2), rtol=0.02)
    assert_allclose(found.norm, 3)


@pytest.mark.slow
def test_a_fault_in_one_stream_is_counted_but_not_where_a_string_begins(streams):
    legal = legal_next(CONTINUAL, symbols_of(streams))
    before_first = jnp.roll(begins(streams), -1, axis=0)
    wrong = jnp.where(before_first[..., None], ~legal, legal)
    memory = jnp.ones((1000, 100, 1))
    outputs = jnp.where(wrong, 0.0, -40.0)
    assert scored(outputs, memory, streams, resets=True).faultless == 1
    assert scored(outputs, memory, streams, resets=False).faultless == 0


def test_tests_are_at_halves_of_the_training(smoke):
    assert checkpoints(2000) == [125, 250, 500, 1000, 2000]
    assert checkpoints(1) == [1]
    record = smoke("learning_to_forget")
    loss = take(record, "loss")
    assert loss.shape == (2, 1, record.config["num_steps"])
    assert np.isfinite(loss).all()


def test_who_never_learns_has_learnt_after_infinitely_many(smoke):
    record = smoke("learning_to_forget")
    assert learnt_after(record, "lstm")[0] <= record.config["num_steps"]
    assert learnt_after(record, "lstm_nfg")[0] == np.inf


def test_its_figure_says_how_long_it_took(smoke):
    text = finding(smoke("learning_to_forget"))
    assert "took an LSTM at most" in text
    assert "more than" in text


KINDS = ("forget", "nfg", "nfg_resets", "forget_decay")
HELD = [True, True, True, None, True, True]  # of the checks of the nets of 2000


def with_nets(record, **perfect):
    """The record as if so many of ten nets of 2000 of each kind were perfect."""
    counts = [perfect.get(kind, 9) for kind in KINDS]
    right = np.arange(10) < np.array(counts)[:, None]
    norms = np.full((4, 10), [[3.0], [30.0], [3.0], [3.0]])
    of_nets = {
        "perfect_at": np.where(right, 100.0, np.inf),
        "outer": np.where(right, 1.0, 0.5),
        "no_fault": right.astype(float),
        "late_norm": norms if perfect.get("grows", True) else 0 * norms + 3,
        "state_norm": np.full((4, 20), 3.0),
    }
    arrays = {
        name: Quantity(of, ("kind", "net" if of.shape[1] == 10 else "time"), "1")
        for name, of in of_nets.items()
    }
    axes = record.axes | {"kind": [*KINDS], "net": [*range(10)]}
    return record._replace(arrays={**record.arrays, **arrays}, axes=axes)


@pytest.mark.parametrize(
    ("perfect", "fails"),
    [
        ({"forget": 8, "nfg": 2}, []),
        ({"forget": 7, "nfg": 2}, [1]),
        ({"forget": 1, "nfg": 0}, [0]),
        ({"forget": 8, "nfg": 5}, [1, 4]),
        ({"forget": 8, "nfg": 2, "nfg_resets": 4}, [2]),
        ({"forget": 8, "nfg": 2, "forget_decay": 0}, []),
        ({"forget": 8, "nfg": 2, "grows": False}, [5]),
    ],
)
def test_criteria_of_the_nets_of_2000(smoke, perfect, fails):
    record = with_nets(smoke("learning_to_forget"), **perfect)
    found = checks(record)
    wanted = [False if k in fails else holds for k, holds in enumerate(HELD)]
    assert [check.holds for check in found[:6]] == wanted
    assert found[6:] == checks(smoke("learning_to_forget"))
    assert f"{perfect['forget']} of 10 nets remember" in finding(record)


def test_every_kind_of_net_has_its_row_and_its_marks(smoke):
    record = with_nets(smoke("learning_to_forget"), forget=8, nfg=2)
    *_, last = table(record)
    assert last["cell"] == "2000: falling rate"
    assert last["outer symbols right"].startswith("0.950 [")
    assert (last["late norm"], last["no fault"]) == ("3.0 to 3.0", "0.90")
    right, _, states = plot(record).axes
    assert [label.get_text() for label in right.get_yticklabels()][:2] == [
        "2000, forget gates",
        "2000, f = 1",
    ]
    assert "2000, f = 1" in [text.get_text() for text in states.texts]


def test_a_net_that_could_never_pass_its_tests_is_refused():
    with pytest.raises(ConfigError, match=r"num_symbols: got 1000; it must be above"):
        Config(num_symbols=1000, most_symbols=100)
    Config(num_symbols=1000, most_symbols=100, nets_of_2000=0)


def test_the_end_of_the_training_is_told_and_not_asked(smoke):
    record = smoke("learning_to_forget")
    accuracy = record.arrays["accuracy"]
    early = np.ones_like(accuracy.values)
    early[1] = 0.5  # lstm_nfg, but for the end
    early[1, :, -1] = 1
    arrays = {**record.arrays, "accuracy": accuracy._replace(values=early)}
    found = checks(record._replace(arrays=arrays))
    asked = {check.ours.split("after")[1]: check.holds for check in found[1:-1]}
    assert set(asked) == {" 12 updates", " 200 updates"}
    assert [check.holds for check in found if "at the end" in check.what] == [None] * 2
    assert found[1].holds
