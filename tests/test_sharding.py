"""Training over many devices and processes: the curve of one device, and clear ends."""

import dataclasses
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from numpy.testing import assert_allclose, assert_array_equal

import lstm_jax as lj
from experiments import train
from experiments.common.cli import ConfigError
from experiments.train import Config, processes
from experiments.train.job import job_of
from experiments.train.processes import Processes
from lstm_jax.training import checkpoints, loop, sharding
from lstm_jax.training.runs import train_many

ROOT = Path(__file__).parent.parent
SMALL = Config(
    task="adding",
    cell="rnn",
    hidden_size=4,
    length=5,
    batch_size=8,
    num_steps=30,
    log_interval=1,
    checkpoint_interval=10,
    test_size=5,
    dtype="float64",
)
SEEDS = dataclasses.replace(SMALL, num_seeds=2, length=7)
SUMS, PARTS = MESHES = ("data:4,seed:2", "data:2,seed:2,unit:2")
# By devices along "seed" and runs at once on each; None is all of them.
LAYOUTS = {"one": (1, None), "two, one by one": (2, 1), "two, two at once": (2, 2)}


def losses_of(out):
    """Steps and losses of the metrics, (line,) and (line, ...)."""
    text = (out / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    return [line["step"] for line in lines], np.array([line["loss"] for line in lines])


def assert_same_curve(out, wanted):
    """Loss by loss and parameter by parameter, to rounding; and no line twice."""
    (steps, losses), (wanted_steps, wanted_losses) = map(losses_of, (out, wanted))
    assert steps == wanted_steps
    assert_allclose(losses, wanted_losses, rtol=1e-10)
    with np.load(out / "final.npz") as found, np.load(wanted / "final.npz") as params:
        assert found.files == params.files
        for name in params.files:
            assert_allclose(found[name], params[name], rtol=1e-9, atol=1e-12)


def run_child(code, *arguments):
    """Runs statements in a process of eight devices, with this module as `here`."""
    lines = (
        "import sys, jax",
        "jax.config.update('jax_num_cpu_devices', 8)",
        "jax.config.update('jax_numpy_dtype_promotion', 'strict')",
        "sys.path.insert(0, 'tests')",
        "import test_sharding as here",
        code,
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines), *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def runs_on_eight(folder):
    """What the child does: the same seeds on one device and over meshes."""
    sharding.SMALLEST_CUT = 16  # so that recurrent weights of four units are cut
    for name in ("one", *MESHES):
        (folder / name).mkdir()
    train.run(SEEDS, folder / "one")
    for text in MESHES:
        # The last updates on one device: a mesh leaves no trace in a checkpoint.
        meshed = dataclasses.replace(SEEDS, mesh=text, num_steps=20)
        train.run(meshed, folder / text)
        train.run(SEEDS, folder / text, resume=True)
    with jax.enable_x64(True):
        for text in MESHES:
            job = job_of(dataclasses.replace(SEEDS, mesh=text))
            describe(job, folder / text)
        meshes = (None, "data:8", "data:2,unit:4")
        gradients: Any = {str(text): gradients_of(text) for text in meshes}
        np.savez(folder / "gradients.npz", **gradients)
        for name, layout in LAYOUTS.items():
            np.savez(folder / f"{name}.npz", **trained_over(layout))


def describe(job, folder):
    """Writes the program of an update, and what lies where before it and after."""
    state = job.place(job.initial())
    assert_same_state(job.gather(state), job.initial())
    program = jax.jit(job.chunk).lower(state, 1).compile()
    (folder / "program.txt").write_text(cast(str, program.as_text()))
    states = [(s.params, s.opt_state) for s in (state, program(state, 1)[0])]
    (folder / "stored.json").write_text(json.dumps(stored_of(states)))


def stored_of(tree):
    """Shape of the whole array and of a device's part, by name."""
    return {
        jax.tree_util.keystr(path): (leaf.shape, leaf.addressable_shards[0].data.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def trained_over(layout):
    """Eight runs of `train_many`, of which the third diverges, by name."""
    devices, at_once = layout
    mesh = None if devices == 1 else sharding.mesh_of(f"seed:{devices}")

    @jax.jit
    def many(keys, rates):
        return train_many(
            keys,
            lj.RNN,
            lj.TASKS["adding"],
            optax.adam,
            hyperparams={"learning_rate": rates},
            init_options={"dtype": jnp.float64},
            hidden_size=3,
            num_steps=3,
            batch_size=2,
            length=5,
            mesh=mesh,
            runs_at_once=at_once,
        )

    rates = jnp.geomspace(1e-3, 1e-1, 8).at[2].set(1e30)
    trained = many(jax.random.split(jax.random.key(0), 8), rates)
    if mesh is not None:
        assert stored_of(trained[1].loss) == {"": ((8, 3), (8 // devices, 3))}
    found: Any = checkpoints.named_arrays(trained)
    return found


def gradients_of(text):
    """The gradient that reaches SGD, flat; weights of the loss differ by sequence."""
    mesh = None if text is None else sharding.mesh_of(text)
    task, optimizer = lj.TASKS["delayed_xor"], optax.sgd(1.0)
    task = dataclasses.replace(task, sample=partial(weighted, task.sample))
    over: dict[str, Any] = (
        {} if mesh is None else {"predict": sharding.predict_over(mesh, lj.LSTM)}
    )
    step = loop.step_function(
        lj.LSTM, task, optimizer, batch_size=16, length=20, **over
    )
    before = loop.init_train_state(
        jax.random.key(0),
        lj.LSTM,
        task,
        optimizer,
        hidden_size=5,
        init_options={"dtype": jnp.float64},
    )
    placed = before if mesh is None else sharding.place(before, mesh, seeds=False)
    after = jax.jit(lambda state: step(state)[0])(placed)
    arrays = [checkpoints.named_arrays(s.params) for s in (before, after)]
    return np.concatenate([(arrays[0][k] - arrays[1][k]).ravel() for k in arrays[0]])


def weighted(sample, key, batch_size, *arguments):
    """A batch whose devices would get unequal shares of the weight."""
    batch = sample(key, batch_size, *arguments)
    heavy = jnp.arange(batch_size) < 3
    return batch._replace(weights=jnp.where(heavy, batch.weights, batch.weights / 8))


def assert_same_state(found, wanted):
    found, wanted = map(checkpoints.named_arrays, (found, wanted))
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].tobytes() == array.tobytes(), name


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    """Runs of a process with eight devices, by mesh."""
    folder = tmp_path_factory.mktemp("eight")
    run_child("from pathlib import Path; here.runs_on_eight(Path(sys.argv[1]))", folder)
    return folder


@pytest.mark.parametrize("mesh", MESHES)
def test_one_device_and_eight_have_the_same_curve(mesh, eight):
    assert_same_curve(eight / mesh, eight / "one")
    _, losses = losses_of(eight / mesh)
    assert losses.shape == (30, 2)
    assert abs(losses[:, 0] - losses[:, 1]).min() > 1e-6  # seeds are not mixed up


@pytest.mark.parametrize("mesh", ["data:8", "data:2,unit:4"])
def test_gradients_add_up_where_devices_hold_unequal_weights(mesh, eight):
    with np.load(eight / "gradients.npz") as found:
        assert_allclose(found[mesh], found["None"], rtol=1e-12, atol=1e-14)
        assert np.abs(found["None"]).max() > 1e-3


def exchanged_in(program):
    """What devices exchange and the shape of it (the last one, of several)."""
    names = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
    return [
        (name, shape, line)
        for line in program.splitlines()
        for shape, name in re.findall(rf"\[([\d,]*)\]\S* ({names})(?:-start)?\(", line)
    ]


@pytest.mark.parametrize("mesh", MESHES)
def test_every_device_draws_its_own_numbers(mesh, eight):
    program = (eight / mesh / "program.txt").read_text()
    # Random bits (seed, time, batch): of one seed and two of eight sequences.
    shapes = set(re.findall(r"u(?:32|64)\[([\d,]+)\]", program))
    assert "1,7,2" in shapes
    assert not shapes & {"2,7,8", "1,7,8", "2,7,2", "7,8", "1,7,4", "2,7,4"}


def test_only_sums_are_exchanged(eight):
    exchanged = exchanged_in((eight / SUMS / "program.txt").read_text())
    assert {name for name, _, _ in exchanged} == {"all-reduce"}


def test_a_weight_in_parts_is_gathered_once_and_its_gradient_summed_into_them(eight):
    exchanged = exchanged_in((eight / PARTS / "program.txt").read_text())
    others = sorted(found for found in exchanged if found[0] != "all-reduce")
    named = [found[:2] for found in others]
    assert named == [("all-gather", "1,4,4"), ("reduce-scatter", "1,4,2")]
    # In the loop of the updates, not in that of the steps.
    assert all(line.count("/while/") == 1 for _, _, line in others)


@pytest.mark.parametrize("mesh", MESHES)
def test_a_device_stores_its_seeds_and_its_part_of_a_large_weight(mesh, eight):
    stored = json.loads((eight / mesh / "stored.json").read_text())
    assert len(stored) == 2 * 16  # before and after: five weights, two moments, a count
    for name, (whole, part) in stored.items():
        cut = "unit" in mesh and name.endswith("w_hh")
        assert part[0] == whole[0] / 2 and part[1:-1] == whole[1:-1]
        if len(whole) > 1:
            assert part[-1] == whole[-1] / (2 if cut else 1), name


@pytest.mark.parametrize("layout", list(LAYOUTS)[1:])
def test_many_runs_over_devices_are_those_of_one_device(layout, eight):
    with np.load(eight / "one.npz") as wanted, np.load(eight / f"{layout}.npz") as many:
        assert many.files == wanted.files
        others = np.delete(np.arange(8), 2)
        for name in wanted.files:
            assert_allclose(many[name][others], wanted[name][others], rtol=1e-10)
            # Adam's first update of 1e30 is as exact as the smallest gradient.
            assert_allclose(many[name][2], wanted[name][2], rtol=1e-6)
        lost = wanted["0/diverged_at"]
        assert (lost >= 0).tolist() == [n == 2 for n in range(8)]
        assert wanted["0/step"].tolist() == [3, 3, lost[2] - 1, 3, 3, 3, 3, 3]


class Run:
    """Two processes of four devices each, that are one run."""

    def __init__(self, out, config, *given, only_second=(), second=ROOT):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        fields = dataclasses.asdict(config).items()
        words = [f"--{name}={value}" for name, value in fields if value is not None]
        self.processes = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "experiments.train", *words),
                    *(f"--out={out}", "--cpu_devices=4", "--distributed"),
                    *(f"--coordinator=127.0.0.1:{self.port}", "--num_processes=2"),
                    *(f"--process_id={number}", *given, *only_second[: 9 * number]),
                ],
                cwd=(ROOT, second)[number],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(2)
        ]

    def wait_for(self, path):
        while not path.exists():
            assert all(p.poll() is None for p in self.processes), self.ends()
            time.sleep(0.01)

    def ends(self):
        """Exit status, stdout and stderr of each."""
        try:
            told = [process.communicate(timeout=120) for process in self.processes]
        finally:
            for process in self.processes:
                process.kill()
        return [
            (process.returncode, *texts)
            for process, texts in zip(self.processes, told, strict=True)
        ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run of one process and one device that all others are compared with."""
    out = tmp_path_factory.mktemp("whole")
    train.run(SMALL, out)
    return out


@pytest.mark.parametrize(
    "task", ["adding", pytest.param("nature_show", marks=pytest.mark.slow)]
)
def test_two_processes_have_the_curve_of_one(task, whole, tmp_path, tmp_path_factory):
    config = dataclasses.replace(SMALL, task=task)
    if config != SMALL:
        whole = tmp_path_factory.mktemp("1")
        train.run(config, whole)
    (status, said, _), (other, nothing, _) = Run(tmp_path, config).ends()
    assert status == other == 0
    assert "final.npz" in said and "final.npz" not in nothing
    assert_same_curve(tmp_path, whole)
    assert checkpoints.steps(tmp_path / "checkpoints") == [10, 20, 30]
    found = checkpoints.latest(tmp_path / "checkpoints")
    assert found == 30 and (tmp_path / "figure.png").exists()


def kill_one_of_two(killed, whole, out):
    """One process saves, two go on until one is killed, one ends the run."""
    train.run(dataclasses.replace(SMALL, num_steps=10), out)
    run = Run(out, dataclasses.replace(SMALL, num_steps=10**6), "--resume")
    run.wait_for(out / "checkpoints" / "20")
    with pytest.raises(ConnectionRefusedError):  # another name of this machine
        socket.create_connection(("127.0.0.2", run.port), timeout=10)
    start = time.monotonic()
    run.processes[killed].kill()
    ends = run.ends()
    assert time.monotonic() - start < 60
    assert ends[killed][0] == -signal.SIGKILL
    status, _, errors = ends[1 - killed]
    assert status not in (0, None)
    assert "Traceback" not in errors and "Extension modules" not in errors
    error, again = errors.splitlines()[-2:]
    assert error == (
        f"error: process {1 - killed} of 2 was ended, most likely because another one "
        "was; start all again with"
    )
    assert "--resume" in again and again.startswith("  python -m experiments.train")
    for step in checkpoints.steps(out / "checkpoints"):
        if step > 20:  # further than this run is to go
            shutil.rmtree(out / "checkpoints" / str(step))
    train.run(SMALL, out, resume=True)
    assert_same_curve(out, whole)


def test_one_process_killed_stops_the_other_and_one_goes_on(whole, tmp_path):
    kill_one_of_two(0, whole, tmp_path)


def test_the_process_that_writes_stops_when_another_is_killed(whole, tmp_path):
    kill_one_of_two(1, whole, tmp_path)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (
            "--learning_rate=0.01",
            "error: learning_rate: got 0.003 in process 0 and 0.01 in process 1; it "
            "must be the same in all processes of a run",
        ),
        pytest.param(
            "--cpu_devices=2",
            "error: distributed: got processes of 4, 2 devices; all must have the same "
            "number",
            marks=pytest.mark.slow,
        ),
    ],
    ids=["another setting", "other devices"],
)
def test_processes_that_differ_are_no_run(other, told, tmp_path):
    for status, _, errors in Run(tmp_path, SMALL, only_second=(other,)).ends():
        assert (status, errors.splitlines()[-1]) == (2, told)
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.slow
def test_processes_of_other_code_are_no_run(tmp_path):
    for package in ("experiments", "lstm_jax"):
        shutil.copytree(ROOT / package, tmp_path / package)
    with (tmp_path / "experiments" / "progress.py").open("a") as file:
        file.write("# changed\n")
    for status, _, errors in Run(tmp_path / "out", SMALL, second=tmp_path).ends():
        told = errors.splitlines()[-1]
        assert status == 2 and told.startswith("error: code: got '")
        assert told.endswith("it must be the same in all processes of a run")


def test_a_mesh_of_one_device_changes_not_one_bit(whole, tmp_path):
    train.run(dataclasses.replace(SMALL, mesh="data:1"), tmp_path)
    assert_array_equal(losses_of(tmp_path)[1], losses_of(whole)[1])


@pytest.mark.parametrize("text", ["", "data", "data:0", "data:-1", "data:2,data:2"])
def test_a_mesh_that_cannot_be_read_is_refused(text):
    with pytest.raises(ValueError, match=r"^mesh: got .*; it must be data:N, seed:N"):
        sharding.parse_mesh(text)
    with pytest.raises(ConfigError, match=r"^mesh: got .*; it must be data:N, seed:N"):
        dataclasses.replace(SMALL, mesh=text)


def test_seeds_are_the_outer_axis_of_a_mesh():
    found = sharding.parse_mesh("unit:5,data:4,seed:2")
    assert list(found.items()) == [("seed", 2), ("data", 4), ("unit", 5)]
    assert sharding.parse_mesh("seed:3") == {"seed": 3, "data": 1, "unit": 1}


@pytest.mark.parametrize(
    ("shape", "cut"),
    [
        ((128, 512), P(None, "unit")),  # recurrent weights of an LSTM of 128 units
        ((127, 512), P()),
        ((3, 128, 512), P(None, None, "unit")),
        ((2**17,), P("unit")),
        ((2**10, 2**10 + 1), P()),
        ((), P()),
    ],
)
def test_large_arrays_are_stored_in_parts_where_the_devices_divide_them(shape, cut):
    devices = np.array(jax.devices()[:1] * 2)  # never used
    assert sharding.storage(shape, Mesh(devices[None, None], sharding.AXES)) == cut
    assert sharding.storage(shape, Mesh(devices, ["data"])) == P()


@pytest.mark.parametrize(
    ("at_once", "turns", "shape"),
    [(None, None, "6,5"), (1, 6, "5"), (2, 3, "2,5"), (3, 2, "3,5")],
)
def test_a_device_works_on_so_many_runs_at_once(at_once, turns, shape):
    over = sharding.over_runs(jnp.sin, mesh=None, at_once=at_once)
    runs = jnp.ones((6, 5), jnp.float32)
    program = str(jax.make_jaxpr(over)(runs))
    assert re.findall(r"length=(\d+)", program) == ([str(turns)] if turns else [])
    assert re.findall(r"f32\[([\d,]+)\] = sin", program) == [shape]


def test_more_devices_than_there_are_are_refused():
    wanted = jax.device_count() + 1
    told = rf"mesh: got 'data:{wanted}', {wanted} devices; it must be at most"
    with pytest.raises(ConfigError, match=told):
        train.run(dataclasses.replace(SMALL, mesh=f"data:{wanted}"))


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"batch_size": 4, "num_seeds": 2}, "batch_size: got 4; .* multiple of 8"),
        ({"batch_size": 8, "num_seeds": 3}, "num_seeds: got 3; .* multiple of 2"),
    ],
)
def test_what_devices_can_not_share_is_refused(counts, told):
    with pytest.raises(ValueError, match=told):
        sharding.check_divides({"seed": 2, "data": 4, "unit": 2}, **counts)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"process_id": 0}, "process_id: got 0 without --distributed"),
        ({"distributed": True, "coordinator": "a:1"}, "it must be all of --coord"),
        (
            {
                "distributed": True,
                "coordinator": "a:1",
                "num_processes": 2,
                "process_id": 2,
            },
            "process_id: got 2; it must be below num_processes, 2",
        ),
        (
            {
                "distributed": True,
                "coordinator": "localhost",
                "num_processes": 2,
                "process_id": 1,
            },
            "coordinator: got 'localhost'; it must be host:port",
        ),
    ],
)
def test_flags_that_make_up_no_run_are_refused(given, told):
    with pytest.raises(ConfigError, match=told):
        processes.check(Processes(**given))
