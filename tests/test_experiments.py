"""The experiments, small: what they write, how they refuse, how they stop."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from experiments import gradient_decay, nature_show
from experiments.common import cli, records
from experiments.common.cli import ConfigError
from experiments.common.records import take
from experiments.common.sequence_file import read_sequence
from experiments.common.statistics import mean_interval
from experiments.common.variants import matched_bias, variants_of

ROOT = Path(__file__).parent.parent
FILES = ["figure.png", "figure.svg", "record.json", "record.npz"]
SMALL: dict[str, Any] = {
    "cells": ("rnn", "lstm"),
    "gain": 0.5,
    "lag": 4,
    "hidden_size": 5,
    "num_seeds": 2,
    "num_examples": 3,
}


@pytest.fixture(scope="module")
def decay_record():
    return gradient_decay.run(gradient_decay.Config(num_steps=4, recorder=2, **SMALL))


@pytest.fixture(scope="module")
def show_record():
    return nature_show.run(
        nature_show.Config(
            cells=("lstm",),
            lags=(2,),
            hidden_size=5,
            num_seeds=2,
            num_steps=3,
        )
    )


def of_stage(record, name, label, when):
    (variant,) = (v for v in record.axes["variant"] if v["label"] == label)
    return take(record, name, variant=variant, stage=when)


def command_line(module, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", f"experiments.{module}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        **options,
    )


def test_decay_has_a_row_and_arrays_per_cell_bias_and_stage(decay_record):
    labels = ["rnn", "lstm b_f=1", "lstm b_f=2.6"]
    assert [row["cell"] for row in decay_record.rows[::2]] == labels
    assert [row["when"] for row in decay_record.rows] == ["initial", "trained"] * 3
    for label in labels:
        for when in ("initial", "trained"):
            shares = of_stage(decay_record, "log_share", label, when)
            assert shares.shape == (2, 3, 6)  # seed, example, lag
            assert (shares[..., 0] == 0).all()


def test_decay_shares_are_those_of_the_python_loop(decay_record):
    """One network, measured again by restarting the reference at every step."""
    config = gradient_decay.Config(num_steps=4, **SMALL)
    found = of_stage(decay_record, "log_share", "lstm b_f=1", "initial")[0, 0]
    watched = gradient_decay._watched(config)
    variants = variants_of("lstm", config.forget_bias, watched.lag)
    models = gradient_decay._initial_models(config, watched, "lstm", lj.LSTM, variants)
    model = jax.tree.map(lambda leaf: leaf[0], models)
    assert watched.targets is not None
    xs, target = watched.inputs[:, 0], watched.targets[0]

    def margin(carry, t):
        _, ys = lj.unroll_reference(lj.LSTM, model.cell, xs[t:], carry)
        logits = ys[-1] @ model.readout.w + model.readout.b
        return logits[target] - logits[1 - target]

    carry, norms = lj.LSTM.init_carry(model.cell), []
    for t in range(len(xs)):
        gradient = jax.grad(margin)(carry, t)
        norms.append(jnp.sqrt(jnp.sum(gradient.h**2) + jnp.sum(gradient.c**2)))
        carry, _ = lj.LSTM.step(model.cell, carry, xs[t])
    expected = jnp.log(jnp.array(norms) / norms[-1])[::-1]
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_carousel_is_the_mean_log_of_the_forget_gates_that_acted(decay_record):
    carousel = of_stage(decay_record, "log_carousel", "lstm b_f=1", "initial")
    assert (carousel[..., 0] == 0).all()
    assert (np.diff(carousel) < 0).all()
    # Weights are small beside a bias of 1: f_t scatters around σ(1).
    rate = carousel[..., -1].mean() / 5
    assert abs(rate - np.log(1 / (1 + np.exp(-1)))) < 0.2


def test_without_input_an_untrained_rnn_keeps_the_spectral_radius(decay_record):
    rates = take(decay_record, "undriven_ln_spectral_radius")
    np.testing.assert_allclose(rates, np.log(0.5), atol=1e-6)
    shares = take(decay_record, "undriven_log_share")
    lags = np.broadcast_to(np.arange(6), (2, 6))
    np.testing.assert_allclose(shares, np.log(0.5) * lags, rtol=1e-5)


@pytest.mark.parametrize(
    "dtype", ["bfloat16", pytest.param("float64", marks=pytest.mark.slow)]
)
def test_decay_runs_in_other_dtypes(dtype):
    small = SMALL | {"cells": ("four_gate",), "forget_bias": (1.0,), "dtype": dtype}
    record = gradient_decay.run(gradient_decay.Config(num_steps=0, **small))
    assert np.isfinite(take(record, "log_share")).all()


def test_the_recorder_keeps_the_curve_of_every_nth_update(decay_record):
    assert decay_record.axes["update"] == [0, 2, 4]
    recorded = take(decay_record, "recorded_log_share")
    for row, when in ((0, "initial"), (-1, "trained")):
        shares = take(decay_record, "log_share", stage=when)
        np.testing.assert_allclose(recorded[:, row], np.median(shares, axis=(1, 2)))
    assert len(gradient_decay.plot(decay_record).subfigs) == 2


def test_a_recorder_that_misses_the_last_update_is_refused():
    with pytest.raises(cli.ConfigError, match="recorder: got 3; it must divide"):
        gradient_decay.Config(num_steps=4, recorder=3)


def test_verdict_has_a_line_per_variant_that_names_the_lag(decay_record):
    lines = [line for line in decay_record.verdict if "share at lag 4" in line]
    assert len(lines) == 3
    assert sum("ln(lag - 1) = 1.10" in line for line in lines) == 2
    assert all("signal/noise" in line and "bfloat16" in line for line in lines)


def test_a_sequence_of_ones_own_is_measured_and_not_trained(tmp_path):
    path = tmp_path / "mine.npy"
    np.save(path, np.random.default_rng(0).normal(size=(9, 3)))
    config = gradient_decay.Config(
        sequence=str(path), hidden_size=4, num_seeds=2, cells=("rnn",)
    )
    record = gradient_decay.run(config)
    assert {row["when"] for row in record.rows} == {"initial"}
    assert record.config["lag"] == 8
    assert take(record, "log_share").shape == (1, 1, 2, 1, 9)
    assert gradient_decay.plot(record).axes


def test_a_commit_is_marked_where_code_differs_but_not_for_stored_records(tmp_path):
    assert records.commit_of(tmp_path) is None
    code, record = tmp_path / "code.py", tmp_path / records.STORED[0] / "record.jsonl"
    record.parent.mkdir(parents=True)
    for file in (code, record):
        file.write_text("first")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    for arguments in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "a"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    commit = records.commit_of(tmp_path)
    assert commit
    record.write_text("second")
    assert records.commit_of(record.parent) == commit
    code.write_text("second")
    assert records.commit_of(record.parent) == f"{commit}-dirty"


def test_a_record_comes_back_from_disk_and_draws_the_same(decay_record, tmp_path):
    records.save(decay_record, gradient_decay.plot(decay_record), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    loaded = records.load(tmp_path)
    assert loaded.rows == decay_record.rows
    assert loaded.axes == decay_record.axes
    assert list(loaded.arrays) == list(decay_record.arrays)
    for name, (values, axes, unit) in loaded.arrays.items():
        np.testing.assert_array_equal(values, decay_record.arrays[name].values)
        assert (axes, unit) == decay_record.arrays[name][1:]
    records.save(loaded, gradient_decay.plot(loaded), tmp_path / "again")
    again = tmp_path / "again" / "figure.png"
    assert again.read_bytes() == (tmp_path / "figure.png").read_bytes()
    made = json.loads((tmp_path / "record.json").read_text())["made"]
    how = {"versions", "device", "threads", "commit"}
    assert set(made) == how | {"date", "wall_seconds"}
    assert made["versions"]["jax"] and made["threads"] >= 1


def test_nature_show_has_accuracies_and_a_story(show_record):
    labels = [variant["label"] for variant in show_record.axes["variant"]]
    assert labels == ["lstm b_f=1", "lstm b_f=matched"]
    accuracy = take(show_record, "accuracy")
    assert accuracy.shape == (2, 2, 1)  # variant, seed, lag
    assert ((accuracy >= 0) & (accuracy <= 1)).all()
    assert "The last image alone: dog" in show_record.verdict[-1]
    roles = take(show_record, "story_role")
    assert nature_show.ROLES[int(roles[0])] == "bear"
    assert np.isnan(roles[-1])
    probabilities = take(show_record, "story_probability")
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    i, f, g, c = (take(show_record, "story_state", state=state) for state in "ifgc")
    np.testing.assert_allclose(c[1:], f[1:] * c[:-1] + i[1:] * g[1:], atol=1e-6)
    np.testing.assert_allclose(c[0], i[0] * g[0], atol=1e-6)


def test_nature_show_draws_the_images_and_the_inside(show_record, tmp_path):
    figure = nature_show.plot(show_record)
    records.save(show_record, figure, tmp_path)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert sum("gate" in label for label in labels) == 3
    assert sum("-term" in label for label in labels) == 2
    again = nature_show.plot(records.load(tmp_path))
    assert len(again.axes) == len(figure.axes)


def test_mean_interval_is_students():
    low, high = mean_interval(np.array([[0.4], [0.5], [0.6]]))
    # t(0.975, 2 degrees of freedom) = 4.3027, standard error 0.1 / sqrt(3)
    np.testing.assert_allclose(
        [low[0], high[0]], 0.5 + np.array([-1, 1]) * 0.24841, 1e-4
    )


@pytest.mark.parametrize("lag", [1, 2, 40, 200])
def test_matched_bias_keeps_three_quarters(lag):
    forget = 1 / (1 + np.exp(-matched_bias(lag)))
    np.testing.assert_allclose(forget**lag, 0.75)


# -- what is refused ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("cells", ("tree",), "rnn, lstm, four_gate"),
        ("cells", (), "rnn, lstm, four_gate"),
        ("cells", ("rnn", "rnn"), "different"),
        ("lag", 0, "an integer, at least 1"),
        ("hidden_size", 0, "an integer, at least 1"),
        ("num_seeds", 0, "an integer, at least 1"),
        ("num_steps", -1, "an integer, at least 0"),
        ("learning_rate", 0.0, "above 0"),
        ("gain", float("nan"), "a finite number"),
        ("forget_bias", ("big",), "'matched'"),
        ("rendering", "oil", "digits, vectors"),
        ("dtype", "float8", "float32, float64, bfloat16"),
        ("activation", "sine", "tanh, relu, logistic, linear"),
    ],
)
def test_a_wrong_field_names_itself_its_value_and_what_is_allowed(
    field, value, allowed
):
    with pytest.raises(ConfigError) as caught:
        gradient_decay.Config(**{field: value})
    message = str(caught.value)
    assert message.startswith(f"{field}: got {value!r}; it must be")
    assert allowed in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("ragged.csv", b"1,2\n3\n", "ragged: line 1 has 2 values, line 2 has 1"),
        ("nan.csv", b"1,2\n3,nan\n", "has nan at step 1, feature 1"),
        ("inf.csv", b"1,2\ninf,3\n", "has inf at step 1, feature 0"),
        ("text.csv", b"a,b\n1,2\n", "not all numbers"),
        ("empty.csv", b"", "shape"),
        ("short.csv", b"1,2\n", "time must be at least 2"),
        ("junk.npy", b"junk", "can't be read as numbers"),
        ("none.npy", None, "No such file"),
        (
            "large.csv",
            b"1,2\n3,1e39\n",
            "has 1e+39 at step 1, feature 1, beyond float32",
        ),
        ("mine.txt", b"1\n2\n", "suffix '.txt'"),
    ],
)
def test_a_bad_sequence_file_is_refused(tmp_path, name, content, found):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="sequence: ") as caught:
        read_sequence(str(path))
    assert found in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((2, 3, 4)), "shape"),
        (np.array(["a", "b"]), "holds"),
        (np.array([1j, 2j]), "holds complex128"),
    ],
)
def test_a_bad_array_is_refused(tmp_path, array, found):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ConfigError, match=found):
        read_sequence(str(tmp_path / "a.npy"))


def test_good_files_are_read(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n3,4\n\n")
    assert read_sequence(str(tmp_path / "a.csv")).tolist() == [[1, 2], [3, 4]]
    np.save(tmp_path / "b.npy", np.arange(3))
    assert read_sequence(str(tmp_path / "b.npy")).tolist() == [[0], [1], [2]]


def test_a_lag_beyond_the_sequence_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 1)))
    config = gradient_decay.Config(sequence=str(tmp_path / "a.npy"), lag=5)
    with pytest.raises(ConfigError, match="lag: got 5; it must be at most 4"):
        gradient_decay.run(config)


REFUSED = [
    (["--cells=tree"], "--cells=tree", "rnn, lstm, four_gate"),
    (["--lag=many"], "--lag=many", "an integer, at least 1"),
    (["--sequence=none.npy"], "none.npy", ".npy or .csv"),
    (["--out=README.md/x"], "README.md/x", "a folder that can be made"),
    (["--lags=3"], "lags", "--help"),
    (["lstm"], "lstm", "--name=value"),
    (["--lag=10000000000"], "--lag=10000000000", "at most 2147483647"),
    (["--hidden_size=1000000"], "num_seeds, hidden_size: got 3, 1000000", "memory"),
    (["--out="], "out: can't write to ''", "a folder that can be made"),
    (["--out=" + 300 * "x"], "out: can't write to 'xxx", "a folder that can be made"),
    (["--lag=\x1b[31m\n"], r"--lag=\x1b[31m", "an integer"),
]
# A process for each; what they have in common, seconds of imports, is done before.
IN_A_PROCESS_EACH = """
import json, os, sys
from experiments import gradient_decay as decay
from experiments.common import cli
_, folder, given = sys.argv
for number, words in enumerate(json.loads(given)):
    if not os.fork():
        for stream in (1, 2):
            path = f"{folder}/{number}.{stream}"
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
        sys.argv[1:] = words
        cli.main(decay.Config, decay.run, decay.plot, decay.NAME)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


def test_the_command_line_refuses_in_one_line(tmp_path):
    given = json.dumps([arguments for arguments, _, _ in REFUSED])
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS_EACH, tmp_path, given],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["2"] * len(REFUSED), done.stderr
    for number, (_, named, allowed) in enumerate(REFUSED):
        assert (tmp_path / f"{number}.1").read_text() == ""
        (line,) = (tmp_path / f"{number}.2").read_text().strip().splitlines()
        assert line.startswith("error: ")
        assert named in line
        assert allowed in line


@pytest.mark.parametrize("word", ["--help", "-h", "--helpfull"])
def test_the_command_line_says_what_it_can_do(word):
    narrow = {**os.environ, "COLUMNS": "60", "PYTHONIOENCODING": "ascii"}
    done = command_line("gradient_decay", word, env=narrow)
    assert done.returncode == 0
    assert done.stderr == ""
    question, *lines = done.stdout.splitlines()
    assert question == "How much of the last step's gradient reaches the first?"
    for field in gradient_decay.Config.__dataclass_fields__:
        assert sum(line.startswith(f"--{field}") for line in lines) == 1
    assert len(lines) < 60
    assert max(len(line) for line in lines if line.startswith(("--", "    "))) <= 60


OUT_OF_MEMORY = """
import jax.numpy as jnp
from experiments import gradient_decay as decay
from experiments.common import cli
def command(config, out):
    print("σ")
    (jnp.zeros(2**42) + 1).block_until_ready()
cli.start(decay.Config, command, "out")
"""


def test_out_of_memory_is_one_line_with_the_sizes(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY, "--lag=7", f"--out={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 1
    assert done.stdout == "\\u03c3\n"
    assert done.stderr.startswith("error: out of memory; the sizes are lag=7, ")
    assert len(done.stderr.splitlines()) == 1


def test_two_experiments_can_be_imported_together_without_flags():
    from absl import flags

    assert "lag" not in flags.FLAGS
    assert "lags" not in flags.FLAGS


def test_ctrl_c_leaves_nothing_half_written(tmp_path):
    process = subprocess.Popen(
        [
            *[sys.executable, "-m", "experiments.gradient_decay"],
            *["--cells=rnn", "--lag=3", "--hidden_size=4", "--num_seeds=1"],
            *["--num_steps=100000000", f"--out={tmp_path / 'out'}"],
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "training" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "error: interrupted; nothing was written"
    assert os.listdir(tmp_path) == []


def test_an_interrupt_while_files_are_moved_waits_for_the_last(
    decay_record, tmp_path, monkeypatch
):
    moved = []
    replace = os.replace

    def replace_and_interrupt(source, target):
        replace(source, target)
        moved.append(target)
        if len(moved) == 1:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "replace", replace_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        records.save(decay_record, gradient_decay.plot(decay_record), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES


def test_check_compares_every_field_with_its_kind():
    class Broken:
        pass

    assert cli.integer(minimum=1).holds(3)
    assert not cli.integer(minimum=1).holds(Broken())
    assert not cli.number(above=0).holds(float("inf"))
    assert cli.optional(cli.integer(minimum=1)).holds(None)
