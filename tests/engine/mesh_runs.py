"""What is run under meshes: by test_meshes.py, in a process with several devices.

    python tests/engine/mesh_runs.py DEVICES      or, for one cell and few functions:
    python tests/engine/mesh_runs.py DEVICES few

Prints nothing where every value is that of one device.
"""

import sys

import jax

if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_numpy_dtype_promotion", "strict")

import re
from functools import cache, partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import lstm_jax as lj

TIME, BATCH, INPUT, HIDDEN = 5, 8, 3, 4
CUT = "data"
CELLS = {
    "lstm": lj.LSTM,
    "four_gate": lj.FOUR_GATE,
    "learned": lj.learned_carry(lj.GRU),
    "stack": lj.stack(lj.RNN, lj.LSTM),
}


def last(ys):
    return jnp.sum(ys[-1] ** 2)


def read_by(lengths):
    return lambda ys: jnp.sum(lj.last_step(ys, lengths) ** 2)


@cache
def measures(cell):
    """From params, inputs, lengths and resets to what is compared: batch axis last."""

    def value(params, xs, lengths, resets):
        return lj.unroll(cell, params, xs)[1]

    def masked(params, xs, lengths, resets):
        run = lj.unroll(cell, params, xs, lengths=lengths, resets=resets)
        return run[1]

    def of_inputs(params, xs, lengths, resets):
        return lj.input_gradients(cell, params, xs, last)

    def norms(params, xs, lengths, resets):
        return lj.joint_log_norms(lj.log_gradient_norms(cell, params, xs, last))

    def masked_norms(params, xs, lengths, resets):
        loss = read_by(lengths)
        norms = lj.log_gradient_norms(cell, params, xs, loss, lengths=lengths)
        return lj.joint_log_norms(norms)

    def plain_norms(params, xs, lengths, resets):
        return jax.tree.leaves(lj.gradient_norms(cell, params, xs, last))[0]

    def in_pieces(params, xs, lengths, resets):
        return lj.unroll(cell, params, xs, checkpoint_every=2, reverse=True)[1]

    few = [value, masked_norms]
    return [*few, masked, of_inputs, norms, plain_norms, in_pieces]


@cache
def weight_gradients(cell, across=lambda x: x):
    """dL/dW of masked, plain and checkpointed runs; `across` sums over devices."""

    def of(run):
        def loss(params, *arguments):
            return across(jnp.sum(run(params, *arguments) ** 2))

        return jax.grad(loss)

    value, _, masked, *_, in_pieces = measures(cell)
    return [of(run) for run in (masked, value, in_pieces)]


def trained(seed: Any = 0):
    """The losses of a short training."""
    _, history = lj.train(
        jax.random.fold_in(jax.random.key(0), seed),
        lj.LSTM,
        lj.TASKS["adding"],
        optax.adam(1e-2),
        hidden_size=HIDDEN,
        num_steps=3,
        init_options={"dtype": jnp.float64},
        batch_size=BATCH,
        length=TIME,
    )
    return history.loss


def arguments(cell):
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape)),
        cell.init(jax.random.key(0), INPUT, HIDDEN, dtype=jnp.float64),
    )
    xs = jnp.asarray(rng.standard_normal((TIME, BATCH, INPUT)))
    lengths = jnp.asarray(rng.integers(1, TIME + 1, BATCH))
    resets = jnp.asarray(rng.random((TIME, BATCH)) < 0.2)
    return params, xs, lengths, resets


SPECS = P(), P(None, CUT), P(CUT), P(None, CUT)


def close(got, wanted):
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-12), got, wanted
    )


def check_cut_arguments(mesh, cell, few):
    """Explicit and automatic axes: the same functions, of arrays that are cut."""
    whole = arguments(cell)
    cut = [
        jax.tree.map(lambda a, s=spec: jax.device_put(a, NamedSharding(mesh, s)), tree)
        for tree, spec in zip(whole, SPECS, strict=True)
    ]
    for function in [*measures(cell)[:few], *weight_gradients(cell)[:few]]:
        compiled = jax.jit(function).lower(*cut).compile()
        # Nobody gathers an array of all steps; a learned carry is gathered, once.
        assert not re.search(r"\[\d+,\d+,\d+\]\S* all-gather", str(compiled.as_text()))
        close(compiled(*cut), jax.jit(function)(*whole))


def check_manual(mesh, cell, few):
    """Inside `jax.shard_map`: every device has its own part of the batch."""
    whole = arguments(cell)
    shard = partial(jax.shard_map, mesh=mesh, in_specs=SPECS)
    for function in measures(cell)[:few]:
        got = jax.jit(shard(function, out_specs=P(None, CUT)))(*whole)
        close(got, jax.jit(function)(*whole))
    across = partial(jax.lax.psum, axis_name=CUT)
    both = zip(weight_gradients(cell, across), weight_gradients(cell), strict=True)
    for summed, function in [*both][:few]:
        got = jax.jit(shard(summed, out_specs=P()))(*whole)
        close(got, jax.jit(function)(*whole))


def check_training(explicit, auto):
    """Under explicit axes; and every device on a seed of its own, in a shard."""
    with jax.set_mesh(explicit):
        got = trained()
    close(got, trained())
    shard = partial(jax.shard_map, mesh=auto, in_specs=P(), out_specs=P(CUT))
    got = jax.jit(shard(lambda _: trained(jax.lax.axis_index(CUT))[None]))(0)
    close(got, np.stack([trained(seed) for seed in range(auto.size)]))


def main(devices, few=""):
    few = 1 if few else None
    explicit, auto = (
        jax.make_mesh((int(devices),), (CUT,), axis_types=(kind,))
        for kind in (AxisType.Explicit, AxisType.Auto)
    )
    if not few:  # tests/training/test_sharding.py trains on several devices too
        check_training(explicit, auto)
    for cell in [lj.RNN] if few else CELLS.values():
        check_cut_arguments(explicit, cell, few)
        check_manual(auto, cell, few)
        if not few:
            check_cut_arguments(auto, cell, few)


if __name__ == "__main__":
    main(*sys.argv[1:])
