"""experiments.train in several processes: one run, and none is left waiting."""

import dataclasses
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from curves import ROOT, SMALL, assert_same_curve, losses_of
from numpy.testing import assert_array_equal

from experiments import train
from experiments.common.cli import ConfigError
from experiments.train import processes
from experiments.train.processes import Processes
from lstm_jax.training import checkpoints


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_one_process_killed_stops_the_other_and_one_goes_on(whole, tmp_path):
    kill_one_of_two(0, whole, tmp_path)


@pytest.mark.slow
def test_the_process_that_writes_stops_when_another_is_killed(whole, tmp_path):
    kill_one_of_two(1, whole, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("other", "told"),
    [
        (
            "--learning_rate=0.01",
            "error: learning_rate: got 0.003 in process 0 and 0.01 in process 1; it "
            "must be the same in all processes of a run",
        ),
        (
            "--cpu_devices=2",
            "error: distributed: got processes of 4, 2 devices; all must have the same "
            "number",
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


@pytest.mark.slow
def test_a_mesh_of_one_device_changes_not_one_bit(whole, tmp_path):
    train.run(dataclasses.replace(SMALL, mesh="data:1"), tmp_path)
    assert_array_equal(losses_of(tmp_path)[1], losses_of(whole)[1])


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


def test_a_port_has_an_upper_end():
    by_hand = processes.Processes(
        distributed=True, coordinator="here:65535", num_processes=2, process_id=0
    )
    processes.check(by_hand)
    with pytest.raises(ConfigError, match="coordinator: got 'here:65536'"):
        processes.check(by_hand._replace(coordinator="here:65536"))
