"""scan against `lax.scan` on random steps: every derivative, to 1e-10."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine.random_steps import MOVES, RandomRun, random_run
from problems import slow_but

import lstm_jax as lj

# The fewest seeds that together make every move, with respect to everything, with and
# without checkpoints, forwards and in reverse.
FEW = (8, 44, 47, 106, 129, 150, 151, 198)
SOON = (106,)  # one that is neither in reverse nor in pieces nor in forward mode


def plain_scan(run: RandomRun, params, carry, xs):
    """JAX's own; how a run is checkpointed changes no number."""

    def body(carry, x):
        return run.step(params, carry, x)

    return jax.lax.scan(body, carry, xs, reverse=run.options["reverse"])


def engine(run: RandomRun, params, carry, xs):
    return lj.scan(run.step, params, carry, xs, **run.options)


def is_inexact(leaf):
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def weighted(leaves):
    """A number that no two entries enter alike, and none linearly."""
    reals = [
        part.ravel()
        for leaf in leaves
        for part in ([leaf.real, leaf.imag] if jnp.iscomplexobj(leaf) else [leaf])
    ]
    return sum(jnp.sin(part) @ np.cos(np.arange(part.size)) for part in reals)


def derivatives(run: RandomRun, scan, wanted):
    """Everything that is compared, with respect to the leaves that `wanted` names."""
    given = {"params": run.params, "carry": run.carry, "xs": run.xs}
    leaves, structure = jax.tree.flatten({name: given[name] for name in wanted})
    at = [k for k, leaf in enumerate(leaves) if is_inexact(leaf)]

    def outputs(values):
        moved = dict(zip(at, values, strict=True))
        tree = structure.unflatten(
            [moved.get(k, leaf) for k, leaf in enumerate(leaves)]
        )
        out = scan(run, *(given | tree).values())
        return [leaf for leaf in jax.tree.leaves(out) if is_inexact(leaf)]

    slopes = jax.grad(lambda values: weighted(outputs(values)))

    @jax.jit
    def every(values):
        moves = [jnp.cos(value) for value in values]
        seeds = [jnp.stack([value, 0.9 * value]) for value in values]
        found = {
            "hvp by grad of grad": jax.grad(lambda v: weighted(slopes(v)))(values),
            "vmap of grad": jax.vmap(slopes)(seeds),
        }
        if not run.forward_mode:
            return found | {"value": outputs(values), "grad": slopes(values)}

        def pushed(values):
            return jax.jvp(outputs, (values,), (moves,))

        found["value"], found["jvp"] = pushed(values)
        found["grad"], found["hvp"] = jax.jvp(slopes, (values,), (moves,))
        of_jvp = jax.grad(lambda values: weighted(pushed(values)[1]))
        return found | {"grad of jvp": of_jvp(values)}

    return every([leaves[k] for k in at])


def check(seed):
    run = random_run(seed)
    wanted = [["params"], ["carry"], ["params", "carry", "xs"]][seed % 3]
    ours, jaxs = (derivatives(run, scan, wanted) for scan in (engine, plain_scan))
    for name, leaves in jaxs.items():
        for got, leaf in zip(ours[name], map(np.asarray, leaves), strict=True):
            assert (got.shape, got.dtype) == (leaf.shape, leaf.dtype)
            # The root of a carried zero has no slope in the plain scan either.
            known = np.isfinite(leaf)
            scale = np.max(np.abs(leaf[known]), initial=1e-3)
            message = f"{name} of {wanted}: {run.moves}, {run.options}"
            np.testing.assert_allclose(
                np.asarray(got)[known],
                leaf[known],
                rtol=0,
                atol=1e-10 * scale,
                err_msg=message,
            )


def test_few_seeds_make_every_move():
    made = {name for seed in FEW for name in random_run(seed).moves}
    assert made == {move.__name__ for move in MOVES}


@pytest.mark.parametrize("seed", slow_but(SOON, range(500)))
def test_random_steps(seed, x64):
    check(seed)
