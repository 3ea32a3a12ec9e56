"""What a process of eight devices runs, for test_sharding."""

import dataclasses
import json
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from curves import SMALL

import lstm_jax as lj
from experiments import train
from experiments.train.job import job_of
from lstm_jax.training import checkpoints, loop, sharding
from lstm_jax.training.runs import train_many

SEEDS = dataclasses.replace(SMALL, num_seeds=2, length=7)


SUMS, PARTS = MESHES = ("data:4,seed:2", "data:2,seed:2,unit:2")


# By devices along "seed" and runs at once on each; None is all of them.
LAYOUTS = {"one": (1, None), "two, one by one": (2, 1), "two, two at once": (2, 2)}


def runs_on_eight(folder, over):
    """What the child does: the same seeds on one device and over some of MESHES."""
    sharding.SMALLEST_CUT = 16  # so that recurrent weights of four units are cut
    for name in ("one", *over):
        (folder / name).mkdir()
    train.run(SEEDS, folder / "one")
    for text in over:
        # The last updates on one device: a mesh leaves no trace in a checkpoint.
        meshed = dataclasses.replace(SEEDS, mesh=text, num_steps=20)
        train.run(meshed, folder / text)
        train.run(SEEDS, folder / text, resume=True)
    with jax.enable_x64(True):
        for text in over:
            job = job_of(dataclasses.replace(SEEDS, mesh=text))
            describe(job, folder / text)
        meshes = (None, "data:8", "data:2,unit:4")
        gradients: Any = {str(text): gradients_of(text) for text in meshes}
        np.savez(folder / "gradients.npz", **gradients)
        for name, layout in LAYOUTS.items():
            np.savez(folder / f"{name}.npz", **trained_over(layout))


def describe(job, folder):
    """Writes the program of an update, and what lies where before it and after."""
    state = job.place(job.initial())
    assert_same_state(job.gather(state), job.initial())
    program = jax.jit(job.chunk).lower(state, 1).compile()
    (folder / "program.txt").write_text(cast(str, program.as_text()))
    states = [(s.params, s.opt_state) for s in (state, program(state, 1)[0])]
    (folder / "stored.json").write_text(json.dumps(stored_of(states)))


def stored_of(tree):
    """Shape of the whole array and of a device's part, by name."""
    return {
        jax.tree_util.keystr(path): (leaf.shape, leaf.addressable_shards[0].data.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def trained_over(layout):
    """Eight runs of `train_many`, of which the third diverges, by name."""
    devices, at_once = layout
    mesh = None if devices == 1 else sharding.mesh_of(f"seed:{devices}")

    @jax.jit
    def many(keys, rates):
        return train_many(
            keys,
            lj.RNN,
            lj.TASKS["adding"],
            optax.adam,
            hyperparams={"learning_rate": rates},
            init_options={"dtype": jnp.float64},
            hidden_size=3,
            num_steps=3,
            batch_size=2,
            length=5,
            mesh=mesh,
            runs_at_once=at_once,
        )

    rates = jnp.geomspace(1e-3, 1e-1, 8).at[2].set(1e30)
    trained = many(jax.random.split(jax.random.key(0), 8), rates)
    if mesh is not None:
        assert stored_of(trained[1].loss) == {"": ((8, 3), (8 // devices, 3))}
    found: Any = checkpoints.named_arrays(trained)
    return found


def gradients_of(text):
    """The gradient that reaches SGD, flat; weights of the loss differ by sequence."""
    mesh = None if text is None else sharding.mesh_of(text)
    task, optimizer = lj.TASKS["delayed_xor"], optax.sgd(1.0)
    task = dataclasses.replace(task, sample=partial(weighted, task.sample))
    over: dict[str, Any] = (
        {} if mesh is None else {"predict": sharding.predict_over(mesh, lj.LSTM)}
    )
    step = loop.step_function(
        lj.LSTM, task, optimizer, batch_size=16, length=20, **over
    )
    before = loop.init_train_state(
        jax.random.key(0),
        lj.LSTM,
        task,
        optimizer,
        hidden_size=5,
        init_options={"dtype": jnp.float64},
    )
    placed = before if mesh is None else sharding.place(before, mesh, seeds=False)
    after = jax.jit(lambda state: step(state)[0])(placed)
    arrays = [checkpoints.named_arrays(s.params) for s in (before, after)]
    return np.concatenate([(arrays[0][k] - arrays[1][k]).ravel() for k in arrays[0]])


def weighted(sample, key, batch_size, *arguments):
    """A batch whose devices would get unequal shares of the weight."""
    batch = sample(key, batch_size, *arguments)
    heavy = jnp.arange(batch_size) < 3
    return batch._replace(weights=jnp.where(heavy, batch.weights, batch.weights / 8))


def assert_same_state(found, wanted):
    found, wanted = map(checkpoints.named_arrays, (found, wanted))
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].tobytes() == array.tobytes(), name
