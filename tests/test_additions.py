"""A cell, a task and an experiment, added in the edits that CONTRIBUTING counts."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
TOYS = ROOT / "tests" / "toys"
TREES = ("lstm_jax", "experiments", "tests")
SMALL = ("--hidden_size=4", "--num_seeds=2", "--batch_size=2")
ORACLE = '''
def leaky_gate(params: Any, carry: Any, x: np.ndarray) -> tuple[Any, np.ndarray]:
    """c = σ(f) c + sin(g)."""
    f, g = gates_of(params, carry.c, x, 2)
    c = logistic(f) * carry.c + np.sin(g)
    return carry._replace(c=c), c


ORACLES["leaky_gate"] = by_complex_step(leaky_gate)
'''


def add_to(face, module, name):
    """Adds the import and the line of a table, at its end: one edit."""
    imported = f"from lstm_jax.{face.parent.name}.{module} import {name}\n"
    text = face.read_text().replace("\nfrom ", f"\n{imported}from ", 1)
    entries, end, rest = text.partition("    },\n)\n")
    assert end, f"{face}: the table ends otherwise"
    face.write_text(f'{entries}        "{module}": {name},\n{end}{rest}')


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the tree with the toys: six files touched, by six edits."""
    root = tmp_path_factory.mktemp("tree")
    for name in TREES:
        hidden = shutil.ignore_patterns("__pycache__", "reference")
        shutil.copytree(ROOT / name, root / name, ignore=hidden)
    shutil.copy(ROOT / "pyproject.toml", root)
    package = root / "lstm_jax"
    shutil.copy(TOYS / "leaky_gate.py", package / "cells")
    add_to(package / "cells" / "__init__.py", "leaky_gate", "LEAKY_GATE")
    oracles = root / "tests" / "oracles.py"
    oracles.write_text(oracles.read_text() + ORACLE)
    shutil.copy(TOYS / "first_sign.py", package / "tasks")
    add_to(package / "tasks" / "__init__.py", "first_sign", "FIRST_SIGN")
    shutil.copy(TOYS / "first_question.py", root / "experiments")
    return root


def python(tree, *arguments):
    """Runs Python in the tree and returns what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def record_in(folder):
    """What a run left: its fields and arrays, whose figure is there too."""
    assert (folder / "figure.png").stat().st_size > 10_000
    fields = json.loads((folder / "record.json").read_text())
    with np.load(folder / "record.npz") as arrays:
        return fields, dict(arrays)


@pytest.mark.slow
def test_they_are_trained_on_each_other_and_explained(tree):
    told = python(
        tree,
        *("-m", "experiments.train", "--cell=leaky_gate", "--task=first_sign"),
        *(
            "--length=6",
            "--test_size=8",
            "--forget_bias=2",
            "--num_steps=2",
            "--out=out/t",
            *SMALL,
        ),
    )
    assert "leaky_gate" in told
    fields, arrays = record_in(tree / "out" / "t")
    assert fields["config"]["task"] == "first_sign"
    assert np.isfinite(arrays["final_test_loss"]).all()
    explained = python(
        tree,
        *("-m", "experiments.explain", "--checkpoint=out/t", "--of_seed=0"),
        *("--num_examples=2", "--out=out/e"),
    )
    assert "leaky_gate, 4 units" in explained and "half is kept by unit" in explained
    record_in(tree / "out" / "e")


UNTRAINED = ("--num_steps=0", "--lag=4", "--num_examples=2", *SMALL)


@pytest.mark.slow
def test_the_cell_is_measured(tree):
    flags = ("--cells=leaky_gate", *UNTRAINED)
    python(tree, "-m", "experiments.gradient_decay", *flags, "--out=out/d")
    fields, arrays = record_in(tree / "out" / "d")
    variants = fields["axes"]["variant"]
    assert [variant["cell"] for variant in variants] == ["leaky_gate"] * 2
    assert np.isfinite(arrays["log_carousel"]).all()


@pytest.mark.slow
def test_the_cell_is_drawn_in_a_colour_of_its_own(tree):
    # Of seven families the toy's is the last, and so is its colour.
    colours = "from lstm_jax import plots; print(*map(plots.colour_of, {}))"
    told = python(tree, "-c", colours.format(("leaky_gate", "rnn", "unknown")))
    assert told.split() == ["#F0E442", "#D55E00", "#555555"]


@pytest.mark.slow
def test_its_gradient_is_split_into_paths(tree):
    flags = ("--cell=leaky_gate", *UNTRAINED)
    python(tree, "-m", "experiments.gradient_paths", *flags, "--out=out/p")
    fields, arrays = record_in(tree / "out" / "p")
    assert fields["axes"]["path"] == ["cell", "f", "g"]
    axes = fields["arrays"]["path_share"]["axes"]
    whole = arrays["path_share"].sum(axes.index("path"))
    np.testing.assert_allclose(whole, 1, atol=1e-4)


def test_the_experiment_asks_its_question(tree):
    told = python(
        tree, "-m", "experiments.first_question", "--cell=leaky_gate", "--out=out/q"
    )
    assert "leaky_gate" in told
    _, arrays = record_in(tree / "out" / "q")
    assert arrays["log_share"].shape == (2, 11)
    assert "first_question" in python(tree, "-m", "experiments")


@pytest.mark.slow
def test_what_is_tested_of_every_cell_and_task_is_tested_of_them(tree):
    files = ("cells/test_cells.py", "cells/test_biases.py", "tasks/test_tasks.py")
    told = python(
        tree,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"),
        *("-k", "leaky_gate or first_sign", "-m", ""),  # all of it, also what is slow
        *(f"tests/{file}" for file in files),
    )
    passed = int(told.split(" passed")[0].split()[-1])
    assert passed >= 20
