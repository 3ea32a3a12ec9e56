"""Every file imports only from below, and no module hides a public name."""

import ast
from pathlib import Path

import pytest

import lstm_jax as lj

ROOT = Path(__file__).parent.parent

LAYERS = [
    {
        "lstm_jax.checks",
        "lstm_jax.factories",
        "lstm_jax.placing",
        "lstm_jax.shapes",
        "lstm_jax.types",
    },
    {"lstm_jax.carry_types", "lstm_jax.initializers"},
    {
        "lstm_jax.backward",
        "lstm_jax.cells",
        "lstm_jax.engine",
        "lstm_jax.readouts",
        "lstm_jax.tasks",
        "lstm_jax.theory",
    },
    {"lstm_jax.scanning", "lstm_jax.wrappers"},
    {"lstm_jax.inputs"},
    {"lstm_jax.steps"},
    {"lstm_jax.tracing", "lstm_jax.unrolling"},
    {"lstm_jax.gradients", "lstm_jax.training", "lstm_jax.interop"},
    {"lstm_jax.plots"},
    {"experiments"},
    {"benchmarks"},
]
HEIGHT = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}

FILES = [
    path
    for folder in ("lstm_jax", "experiments", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
    # The package itself is the list of public names: it may see everything.
    if path != ROOT / "lstm_jax" / "__init__.py"
]


def room_of(module: str) -> str | None:
    """The room a dotted name lies in; None outside the project."""
    rooms = [r for r in HEIGHT if module == r or module.startswith(r + ".")]
    return rooms[0] if rooms else None


def imported_modules(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_only_from_below(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    room = room_of(module.removesuffix(".__init__"))
    assert room is not None, f"{module} is in no room: give it one in LAYERS"
    for name in imported_modules(path):
        below = room_of(name)
        if below is not None and below != room:
            assert HEIGHT[below] < HEIGHT[room], f"{module} imports {name}"
    whole_package = {"lstm_jax"} & imported_modules(path)
    assert not whole_package or room in ("experiments", "benchmarks"), (
        f"{module} imports everything"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_plots_and_experiments_draw_and_only_experiments_have_flags(path):
    modules = {name.split(".")[0] for name in imported_modules(path)}
    room = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if room not in ("lstm_jax.plots", "experiments", "benchmarks"):
        assert not modules & {"matplotlib", "rich", "absl"}
    if room == "lstm_jax.plots":
        assert "absl" not in modules


def test_no_top_level_module_hides_a_public_name():
    modules = {path.stem for path in (ROOT / "lstm_jax").iterdir()}
    functions = {name for name, value in vars(lj).items() if callable(value)}
    assert not modules & functions


def test_every_public_name_has_a_docstring():
    public = {
        name: value
        for name, value in vars(lj).items()
        if callable(value) and not name.startswith("_")
    }
    assert len(public) > 30
    assert [name for name, value in public.items() if not value.__doc__] == []
