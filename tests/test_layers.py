"""Every file imports only from below; no circle; every name is the object it says."""

import ast
import importlib
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import lstm_jax as lj

ROOT = Path(__file__).parent.parent

# The staircase, from the ground up; the rooms of one floor don't see one another.
LAYERS = [
    {
        "lstm_jax.checks",
        "lstm_jax.descriptions",
        "lstm_jax.factories",
        "lstm_jax.files",
        "lstm_jax.linalg",
        "lstm_jax.types",
    },
    {"lstm_jax.data", "lstm_jax.initializers"},
    {"lstm_jax.backward", "lstm_jax.engine", "lstm_jax.readouts"},
    {"lstm_jax.cells", "lstm_jax.tasks", "lstm_jax.theory"},
    {"lstm_jax.inputs"},
    {"lstm_jax.masking"},
    {"lstm_jax.associative", "lstm_jax.cudnn", "lstm_jax.tracing"},
    {"lstm_jax.unrolling"},
    {"lstm_jax.adapters", "lstm_jax.gradients", "lstm_jax.training"},
    {"lstm_jax.newton", "lstm_jax.plots"},
    {"experiments.common"},
    {"experiments.train"},
    {"experiments.explain", "experiments.sweep"},
    {"experiments"},
    {"benchmarks.shapes", "benchmarks.timing"},
    {"benchmarks.sides"},
    {"benchmarks.devices", "benchmarks.machine"},
    {"benchmarks.peers"},
    {"benchmarks.cases"},
    {"benchmarks"},
]
HEIGHT = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}
NAMESPACES = [lj, *(getattr(lj, name) for name in lj.__all__ if name.islower())]
NAMESPACES = [space for space in NAMESPACES if hasattr(space, "__path__")]


def dotted(path: Path) -> str:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return module.removesuffix(".__init__")


FILES = {
    dotted(path): path
    for folder in ("lstm_jax", "experiments", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
# The package itself is the list of public names: it may see everything.
BELOW_THE_FACE = [module for module in FILES if module != "lstm_jax"]


def room_of(module: str) -> str | None:
    """The room a dotted name lies in; None outside the project."""
    rooms = [r for r in HEIGHT if module == r or module.startswith(r + ".")]
    return max(rooms, key=len, default=None)


@cache
def imported_names(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("module", BELOW_THE_FACE)
def test_a_file_imports_only_from_below(module):
    room = room_of(module)
    assert room is not None, f"{module} is in no room: give it one in LAYERS"
    for name in imported_names(FILES[module]):
        below = room_of(name)
        if below is not None and below != room:
            assert HEIGHT[below] < HEIGHT[room], f"{module} imports {name}"
    whole_package = {"lstm_jax"} & imported_names(FILES[module])
    assert not whole_package or not room.startswith("lstm_jax"), (
        f"{module} imports everything"
    )


def test_no_circle():
    def modules(path):
        for name in imported_names(path):
            yield from (m for m in (name, name.rpartition(".")[0]) if m in FILES)

    # A package is no more than the face of its rooms, unless it is all of a module.
    faces = {module for module, path in FILES.items() if path.name == "__init__.py"}
    arrows = {m: {*modules(path)} - {m} - faces for m, path in FILES.items()}
    assert [*TopologicalSorter(arrows).static_order()]


@pytest.mark.parametrize("module", BELOW_THE_FACE)
def test_only_plots_and_experiments_draw_and_only_experiments_have_flags(module):
    imported = {name.split(".")[0] for name in imported_names(FILES[module])}
    room = room_of(module) or ""
    if room.startswith("lstm_jax") and room != "lstm_jax.plots":
        assert not imported & {"matplotlib", "rich", "absl"}
    if room == "lstm_jax.plots":
        assert "absl" not in imported


def test_no_top_level_module_hides_a_public_name():
    modules = {path.stem for path in (ROOT / "lstm_jax").iterdir()}
    assert not modules & {n for n in lj.__all__ if callable(getattr(lj, n))}


def test_the_face_is_what_dir_shows():
    assert len(lj.__all__) <= 80
    assert sorted(lj.__all__) == dir(lj)
    assert len({*lj.__all__}) == len(lj.__all__)


@pytest.mark.parametrize("space", NAMESPACES, ids=lambda space: space.__name__)
def test_every_name_of_a_face_is_the_object_it_says(space):
    for name in space.__all__:
        value = getattr(space, name)
        if callable(value) and hasattr(value, "__qualname__"):
            assert value.__doc__, f"{name} has no docstring"
            home = importlib.import_module(value.__module__)
            assert getattr(home, value.__qualname__, value) is value
        assert isinstance(value, type(lj)) <= (space is lj), f"{name} is a module"


def test_what_takes_long_to_load_is_loaded_on_first_use():
    code = """
import sys, lstm_jax as lj
import lstm_jax.adapters.linen, lstm_jax.adapters.nnx, lstm_jax.adapters.haiku
import lstm_jax.adapters.equinox, lstm_jax.adapters.function
lj.tasks.nature_show("vectors")
slow = "scipy", "sklearn", "matplotlib", "torch", "flax", "haiku", "equinox", "pandas"
print(*[name for name in slow if name in sys.modules])
lj.data.read_table, lj.theory.carousel_rate, lj.plots.share_curve, lj.__version__
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.split() == []
