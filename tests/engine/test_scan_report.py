"""What falls through to the plain scan, and that a report says so."""

import re

import jax
import jax.numpy as jnp
import pytest
from engine.runs import BATCH, HIDDEN, normal
from engine.steps import STEPS, Case, U, W, case_run, z_of

from lstm_jax.engine.scanning import scan


def test_a_report_shows_numbers_as_they_are(x64):
    assert "Literal" not in str(case_run(STEPS["loop inside"]).report)


# What falls through


def batched_product(p, h, x):
    h = jnp.tanh(jnp.einsum("bh,bkh->bk", h, p["each"]) + x[:, :1])
    return h, h


def elementwise(p, h, x):
    h = jnp.tanh(p["b"] * h + x[:, :1])
    return h, h


def printing(p, h, x):
    h = jnp.tanh(z_of(p, h, x))
    jax.debug.print("{}", h[0, 0])
    return h, h


@pytest.mark.parametrize(
    ("step", "reason", "refused"),
    [
        (elementwise, "no weight product was found", ()),
        (
            batched_product,
            "no weight product was found",
            "dot_general(float64[3,5,5], float64[3,5]): it has batch dimensions",
        ),
        (printing, "the step has side effects", ()),
    ],
)
def test_what_falls_through_to_the_plain_scan(step, reason, refused, x64):
    run = case_run(Case(step))
    run = run._replace(params=run.params | {"each": normal(BATCH, HIDDEN, HIDDEN)})
    report = run.report
    assert (report.implementation, report.reason) == ("plain", reason)
    text = str(report)
    assert text.splitlines()[0] == f"plain scan: {reason}"
    if refused:
        assert sorted_operands(report.refused[0]) == sorted_operands(refused)
        assert f"not improved: {report.refused[0]}" in text

    def program(implementation):
        traced = jax.make_jaxpr(
            lambda *given: scan(step, *given, implementation=implementation)
        )(*run[1:])
        return re.sub("0x[0-9a-f]+", "", str(traced))

    assert program("auto") == program("plain")


def sorted_operands(line):
    name, operands, reason = re.split(r"\((?=float)|\): ", line)
    return name, sorted(operands.split(", ")), reason


def test_a_report_reads_well(x64):
    lines = str(case_run(STEPS["product of examples"]).report).splitlines()
    assert lines[:2] == ["weighted scan", f"  pre-activation: {W} + {U}"]
    (refused,) = lines[2:]
    assert refused.startswith("  not improved: dot_general(float64[3,5], float64[3,5])")
