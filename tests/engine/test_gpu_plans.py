"""A plan for a GPU, run here: a step stores fewer arrays, and the numbers stay."""

import jax
import jax.numpy as jnp
import pytest
from engine.runs import (
    BATCH,
    HIDDEN,
    TIME,
    cell_run,
    close,
    scans_of,
    weighted,
)
from engine.steps import Case, case_run

from lstm_jax.engine.programs import trace
from lstm_jax.engine.scanning import first_entries, scan
from lstm_jax.engine.tangents import Inputs
from lstm_jax.engine.weight_products import analyse
from lstm_jax.engine.weighted_scan import weighted_scan
from lstm_jax.engine.weights import prepare


def read_by_a_product(p, h, x):
    """What is saved of the first two is an operand of the third."""
    z = x @ p["wide_w"] + h @ p["wide_u"]
    a, b = jnp.tanh(z[:, :HIDDEN]), jax.nn.sigmoid(z[:, HIDDEN:])
    h = b * jnp.tanh(a @ p["v"] + b @ p["u"])
    return h, a


RUNS = {
    "lstm": lambda: cell_run("lstm"),
    "gru": lambda: cell_run("gru"),
    "in a row": lambda: case_run(Case(read_by_a_product)),
}


def planned_for_a_gpu(step, params, carry, xs):
    """`scan`, planned as on a GPU."""
    arrays, structure = jax.tree.flatten(params)

    def on_arrays(arrays, carry, x):
        return step(jax.tree.unflatten(structure, arrays), carry, x)

    program = trace(on_arrays, arrays, carry, first_entries(xs))
    plan = analyse(program)._replace(on_a_gpu=True)
    inputs = Inputs(*prepare(plan, arrays), *map(jax.tree.leaves, (carry, xs)))
    return program.unflattened(weighted_scan(plan, jax.lax.scan)(arrays, inputs))


def gradient(over_time, run):
    def loss(*arguments):
        return weighted(over_time(run.step, *arguments))

    return jax.value_and_grad(loss, (0, 1, 2)), tuple(run)[1:]


@pytest.mark.parametrize("name", RUNS)
def test_values_and_gradients_are_those_of_the_scan(name, x64):
    run = RUNS[name]()
    got, wanted = (
        jax.jit(derivatives)(*arguments)
        for derivatives, arguments in (
            gradient(over_time, run) for over_time in (planned_for_a_gpu, scan)
        )
    )
    close(got, wanted)


def test_a_step_stores_its_gates_together(x64):
    run = cell_run("lstm")
    derivatives, arguments = gradient(planned_for_a_gpu, run)
    forward = scans_of(jax.make_jaxpr(derivatives)(*arguments).jaxpr)[0]
    stored = [var.aval.shape for var in forward.outvars]
    assert stored.count((TIME, 4, BATCH, HIDDEN)) == 1
    assert stored.count((TIME, BATCH, HIDDEN)) == 3  # h and c that enter, and y
