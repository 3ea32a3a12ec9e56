"""Training over eight devices: the same numbers, and only sums are exchanged."""

import dataclasses
import json
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from curves import ROOT, SMALL, assert_same_curve, losses_of
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from numpy.testing import assert_allclose
from problems import slow_but
from training.eight_devices import LAYOUTS, MESHES, PARTS, SUMS

from experiments import train
from experiments.common.cli import ConfigError
from lstm_jax.training import sharding


def run_child(code, *arguments):
    """Runs statements in a process of eight devices, with `eight_devices` as `here`."""
    lines = (
        "import sys, jax",
        "jax.config.update('jax_num_cpu_devices', 8)",
        "jax.config.update('jax_numpy_dtype_promotion', 'strict')",
        "sys.path.insert(0, 'tests')",
        "import training.eight_devices as here",
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


@pytest.fixture(scope="module")
def eight(tmp_path_factory, request):
    """Runs of a process with eight devices, by mesh: of those that tests ask for."""
    folder = tmp_path_factory.mktemp("eight")
    asked = " ".join(item.name for item in request.session.items)
    run_child(
        "from pathlib import Path; here.runs_on_eight(Path(sys.argv[1]), sys.argv[2:])",
        *(folder, *(mesh for mesh in MESHES if mesh in asked)),
    )
    return folder


over_a_mesh = pytest.mark.parametrize("mesh", slow_but([PARTS], MESHES))


@pytest.mark.slow
@over_a_mesh
def test_one_device_and_eight_have_the_same_curve(mesh, eight):
    assert_same_curve(eight / mesh, eight / "one")
    _, losses = losses_of(eight / mesh)
    assert losses.shape == (30, 2)
    assert abs(losses[:, 0] - losses[:, 1]).min() > 1e-6  # seeds are not mixed up


@pytest.mark.slow
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


@over_a_mesh
@pytest.mark.slow
def test_every_device_draws_its_own_numbers(mesh, eight):
    program = (eight / mesh / "program.txt").read_text()
    # Random bits (seed, time, batch): of one seed and two of eight sequences.
    shapes = set(re.findall(r"u(?:32|64)\[([\d,]+)\]", program))
    assert "1,7,2" in shapes
    assert not shapes & {"2,7,8", "1,7,8", "2,7,2", "7,8", "1,7,4", "2,7,4"}


@pytest.mark.slow
@pytest.mark.parametrize("mesh", [SUMS])
def test_only_sums_are_exchanged(mesh, eight):
    exchanged = exchanged_in((eight / mesh / "program.txt").read_text())
    assert {name for name, _, _ in exchanged} == {"all-reduce"}


@pytest.mark.parametrize("mesh", [PARTS])
@pytest.mark.slow
def test_a_weight_in_parts_is_gathered_once_and_its_gradient_summed(mesh, eight):
    exchanged = exchanged_in((eight / mesh / "program.txt").read_text())
    others = sorted(found for found in exchanged if found[0] != "all-reduce")
    named = [found[:2] for found in others]
    assert named == [("all-gather", "1,4,4"), ("reduce-scatter", "1,4,2")]
    # In the loop of the updates, not in that of the steps.
    assert all(line.count("/while/") == 1 for _, _, line in others)


@over_a_mesh
@pytest.mark.slow
def test_a_device_stores_its_seeds_and_its_part_of_a_large_weight(mesh, eight):
    stored = json.loads((eight / mesh / "stored.json").read_text())
    assert len(stored) == 2 * 16  # before and after: five weights, two moments, a count
    for name, (whole, part) in stored.items():
        cut = "unit" in mesh and name.endswith("w_hh")
        assert part[0] == whole[0] / 2 and part[1:-1] == whole[1:-1]
        if len(whole) > 1:
            assert part[-1] == whole[-1] / (2 if cut else 1), name


@pytest.mark.parametrize("layout", list(LAYOUTS)[1:])
@pytest.mark.slow
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


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run of one process and one device that all others are compared with."""
    out = tmp_path_factory.mktemp("whole")
    train.run(SMALL, out)
    return out


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
    def waves(shift, run):
        return jnp.sin(run + shift)

    over = sharding.over_runs(waves, mesh=None, at_once=at_once)
    runs = jnp.ones((6, 5), jnp.float32)
    program = str(jax.make_jaxpr(over)(jnp.ones(()), runs))
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
