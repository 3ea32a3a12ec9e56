"""What a loop carries and keeps: nothing weight-shaped, and less with checkpoints."""

import os
from functools import partial
from typing import Any

import jax
import pytest
from comparing import equations_of
from engine.runs import (
    TIME,
    cell_run,
    close,
    first,
    losses,
    plainly,
    scans_of,
    second,
    weighted,
)
from engine.steps import STEPS, case_run
from problems import ONE_OF_EACH_KIND, slow_but

import lstm_jax as lj
from lstm_jax.engine.scanning import scan

# What the loops carry, and what they keep

DISTINCT = {"batch": 3, "sizes": (7, 11), "time": 5}


# The matrix of rates of a selective SSM meets its memory number by number.
WITH_PRODUCTS = [name for name in lj.CELLS if name != "selective_ssm"]


@pytest.mark.parametrize("name", slow_but(ONE_OF_EACH_KIND, WITH_PRODUCTS))
def test_no_loop_carries_anything_weight_shaped(name):
    """In the engine, what a loop carries has the batch in front, or is a vector."""
    run = cell_run(name, **DISTINCT)
    matrices = {leaf.shape for leaf in jax.tree.leaves(run.params) if leaf.ndim == 2}
    assert matrices & carried_shapes(run, "plain")
    shapes = carried_shapes(run, "auto")
    assert (DISTINCT["batch"], DISTINCT["sizes"][1]) in {shape[:2] for shape in shapes}
    assert {shape for shape in shapes if len(shape) > 1 and shape[0] != 3} == set()


def carried_shapes(run, implementation):
    """Of all that the loops of a gradient hand from step to step."""
    loss, smooth = losses(run, implementation=implementation)
    program = jax.make_jaxpr(jax.grad(lambda s: loss(s)[0]))(smooth).jaxpr
    loops = scans_of(program)
    assert len(loops) >= 2
    # What is stacked has the time axis in front on its way out.
    return {
        var.aval.shape
        for eqn in loops
        for var, inside in zip(
            eqn.outvars, eqn.params["jaxpr"].jaxpr.outvars, strict=True
        )
        if var.aval.shape == inside.aval.shape
    }


def temporary_bytes(function, *arguments):
    """Of a program compiled as everywhere but in the tests, which keep more arrays."""
    lowered = jax.jit(function).lower(*arguments)
    as_usual: Any = {
        "xla_backend_optimization_level": 3,
        "xla_llvm_disable_expensive_passes": False,
        "xla_cpu_use_fusion_emitters": True,
    }
    changed = {k: v for k, v in as_usual.items() if k in os.environ["XLA_FLAGS"]}
    memory = lowered.compile(changed).memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes


def gradient_of(run, **options):
    def loss(params, carry, xs):
        return weighted(scan(run.step, params, carry, xs, **options))

    return jax.grad(loss, argnums=(0, 1, 2))


@pytest.mark.slow
def test_memory_of_native_and_vmapped_batches():
    run = cell_run("lstm", time=64, batch=16, sizes=(32, 32))
    native = temporary_bytes(gradient_of(run), *run[1:])
    plain = temporary_bytes(gradient_of(run, implementation="plain"), *run[1:])
    assert native <= 1.1 * plain

    def of_vmapped(params, carry, xs):
        def loss(params, carry, xs):
            out = jax.vmap(partial(scan, run.step, params), in_axes=(0, 1))(carry, xs)
            return weighted(out)

        return jax.grad(loss, argnums=(0, 1, 2))(params, carry, xs)

    vmapped = jax.vmap(gradient_of(run), in_axes=(None, 0, 1))
    assert temporary_bytes(of_vmapped, *run[1:]) <= 1.2 * native
    assert temporary_bytes(vmapped, *run[1:]) <= 1.2 * native


def test_memory_without_differentiation():
    """At batch 1, where a copy of the bias would show."""
    run = cell_run("lstm", time=8, batch=1, sizes=(16, 32))
    planned, plain = (
        temporary_bytes(partial(scan, run.step, implementation=one), *run[1:])
        for one in ("auto", "plain")
    )
    assert planned <= 1.1 * plain


# checkpoint_every


@pytest.mark.slow
@pytest.mark.parametrize(
    "reverse", slow_but([True], [False, True]), ids=["forwards", "in reverse"]
)
def test_checkpoints_change_nothing(reverse, x64):
    run = cell_run("rnn")
    wanted = plainly(first, run, reverse=reverse)
    for every in (1, 2, 3, TIME):
        close(first(run, reverse=reverse, checkpoint_every=every), wanted)


@pytest.mark.slow
def test_checkpoints_of_every_kind_of_leaf(x64):
    """Also of a plain scan, and with derivatives of derivatives."""
    run = case_run(STEPS["integers and keys"])
    wanted = plainly(second, run)
    close(second(run, checkpoint_every=3), wanted)
    close(plainly(first, run, checkpoint_every=3), wanted[:-1])


def test_checkpoints_save_memory():
    run = cell_run("lstm", time=512, batch=4, sizes=(8, 8))
    everything = temporary_bytes(gradient_of(run), *run[1:])
    saving = temporary_bytes(gradient_of(run, checkpoint_every=16), *run[1:])
    assert saving < everything / 4


@pytest.mark.parametrize("every", [None, 16])
def test_programs_do_not_grow_with_time(every):
    def equations(time):
        run = cell_run("rnn", time=time)
        derive = gradient_of(run, checkpoint_every=every)
        return len(list(equations_of(jax.make_jaxpr(derive)(*run[1:]).jaxpr)))

    assert equations(32) == equations(512)
