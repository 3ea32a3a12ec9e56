"""Training over many devices: the batch, the seeds and the weights cut over a mesh.

    mesh = mesh_of("data:4,seed:2")
    program = runs.program(recipe, mesh=mesh)
    keys, settings = program.place((keys, settings))
    state = program.place(program.begin(keys, settings))
    state, history = program.steps(state, settings, 100)

Everything but the unroll is written as on one device: XLA draws the batch where it is
read (`jax.random` gives every device its own part of the same numbers), loss and
optimiser see whole arrays. The unroll and the readout run in `jax.shard_map`, on each
device's own sequences, because XLA alone would gather what the engine merges
(docs/decisions/002-engine.md); the transpose of it adds up the devices' gradients.

"unit:2" stores large weights, and the optimiser's numbers for them, in two parts
(`storage`). Its devices take sequences of their own as those of "data" do; a weight is
gathered once per update, in front of the unroll, and its gradient is summed straight
into the parts: together as many bytes as the sum of whole gradients. Memory is all it
is for. Cutting the recurrent product itself would leave every step to wait for the
other devices' part of h, 2 T exchanges per update instead of two (docs/scaling.md).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell
from lstm_jax.cells.stochastic import KeyedCell
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.training.models import ModelParams, predict

DATA, SEED, UNIT = "data", "seed", "unit"
# Neighbours come last: seeds exchange nothing, sequences of one seed their gradients,
# and the parts of a weight both that and the weight.
AXES = (SEED, DATA, UNIT)
ALLOWED = "data:N, seed:N, unit:N or several with commas, N at least 1"
# Numbers of a weight that is stored in parts, at least: the recurrent weights of an
# LSTM of 128 units. Of smaller ones the gathering costs a wait and saves nothing.
SMALLEST_CUT = 1 << 16


def parse_mesh(text: str) -> dict[str, int]:
    """Returns the devices along each axis of "data:4,seed:2", in the order of `AXES`.

    Raises:
      ValueError: an axis is unknown or comes twice, or its size is not a number from 1.
    """
    sizes: dict[str, int] = {}
    for part in text.split(","):
        name, _, size = part.partition(":")
        if name not in AXES or name in sizes or not size.isdecimal() or int(size) < 1:
            raise ValueError(f"mesh: got {text!r}; it must be {ALLOWED}")
        sizes[name] = int(size)
    return {name: sizes.get(name, 1) for name in AXES}


def mesh_of(text: str, devices: Sequence[Any] | None = None) -> Mesh:
    """Returns the mesh "data:4,seed:2": the batch in four parts, the seeds in two.

    Args:
      text: devices along "data", "seed", "unit" or several of them.
      devices: to choose from; all there are if not given. The first ones are taken.

    Raises:
      ValueError: `text` can't be read, or names more devices than there are, or fewer
        than those of all processes.
    """
    sizes = parse_mesh(text)
    devices = jax.devices() if devices is None else list(devices)
    wanted = math.prod(sizes.values())
    if wanted > len(devices):
        raise ValueError(
            f"mesh: got {text!r}, {wanted} devices; it must be at most {len(devices)}, "
            "the devices there are"
        )
    taken = devices[:wanted]
    if {d.process_index for d in taken} != {d.process_index for d in devices}:
        raise ValueError(
            f"mesh: got {text!r}, {wanted} devices; it must be {len(devices)}, so that "
            "every process has its part"
        )
    return jax.make_mesh(
        tuple(sizes.values()),
        tuple(sizes),
        axis_types=(AxisType.Auto,) * len(sizes),
        devices=taken,
    )


def check_divides(
    sizes: Mapping[str, int], *, batch_size: int, num_seeds: int = 1
) -> None:
    """Raises `ValueError` where not every device gets the same number of them.

    Args:
      sizes: devices along each axis, a mesh's `shape`.
      batch_size: sequences per update and seed.
      num_seeds: runs side by side.
    """
    counts = {
        (DATA, UNIT): ("batch_size", batch_size),
        (SEED,): ("num_seeds", num_seeds),
    }
    for axes, (name, count) in counts.items():
        devices = math.prod(sizes.get(axis, 1) for axis in axes)
        if count % devices:
            raise ValueError(
                f"{name}: got {count}; it must be a multiple of {devices}, "
                f"the devices along the mesh's {' and '.join(map(repr, axes))}"
            )


def storage(shape: Sequence[int], mesh: Mesh) -> P:
    """Returns along what an array of the state is cut where it is stored.

    The last axis, that of the units or of their gates, where there are at least
    `SMALLEST_CUT` numbers and the devices along "unit" divide it; else every device
    stores it whole. Which numbers lie where matters to nobody: they are gathered
    before they are used.

    Args:
      shape: of a weight, of an optimiser's moment, or of anything else in the state;
        of one seed.
      mesh: of the devices.
    """
    devices = mesh.shape.get(UNIT, 1)
    if devices == 1 or math.prod(shape) < SMALLEST_CUT or shape[-1] % devices:
        return P()
    return P(*[None] * (len(shape) - 1), UNIT)


def predict_over(mesh: Mesh, cell: Cell) -> Callable[..., Array]:
    """Returns `predict`, computed by each device for its own sequences.

    That is also what makes each device draw its own part of the batch: XLA carries the
    cut back to the random numbers.

    Raises:
      ValueError: the cell draws random numbers.
    """
    if isinstance(cell, KeyedCell):
        raise ValueError(
            f"cell: got {cell.name!r}; it must be one that draws no random numbers "
            "where the batch is cut over a mesh, whose devices would all draw the same"
        )
    return partial(_predict_on, mesh)


def _predict_on(
    mesh: Mesh, cell: Cell, task: Task, params: ModelParams, batch: Batch
) -> Float[Array, "*asked output"]:
    stored = jax.tree.map(lambda leaf: storage(leaf.shape, mesh), params)

    def part(params, batch):
        return predict(cell, task, jax.tree.map(_whole, params, stored), batch)

    specs = _specs(task, mesh)
    return jax.shard_map(
        part,
        mesh=mesh,
        in_specs=(stored, specs),
        out_specs=specs.weights,
        # It would ask every loop to mark its first carry as different per device.
        check_vma=False,
    )(params, batch)


def _whole(part: Array, stored: P) -> Array:
    """Returns a weight from all its parts; its transpose sums a gradient into them."""
    if UNIT not in stored:
        return part
    return jax.lax.all_gather(part, UNIT, axis=part.ndim - 1, tiled=True)


def _specs(task: Task, mesh: Mesh) -> Any:
    """Returns a `Batch` of where each array is cut: along its sequences."""
    rows = tuple(axis for axis in (DATA, UNIT) if axis in mesh.axis_names)
    asked: Any = P(rows) if task.answers == "last_step" else P(None, rows)
    specs: dict[str, Any] = dict(
        inputs=P(None, rows), targets=asked, weights=asked, lengths=P(rows)
    )
    return Batch(**specs)


def over_runs(
    function: Callable, *, mesh: Mesh | None, at_once: int | None
) -> Callable:
    """Returns a function over runs that exchange nothing, whose devices do not either.

    Every array that it takes or returns has the runs as its first axis. By
    `jax.shard_map`, not by a cut argument: a loop over an axis that is cut makes XLA
    gather it.

    Args:
      function: of one run.
      mesh: whose devices along "seed" get equal parts of the runs; one device if None.
      at_once: runs that a device works on side by side, by `jax.vmap`; all of its own
        if None.
    """

    def one(arguments):
        return function(*arguments)

    def part(*runs):
        if at_once is None:
            return jax.vmap(function)(*runs)
        # Side by side with nobody, a run keeps its branches and its plain products.
        together = None if at_once == 1 else at_once
        return jax.lax.map(one, runs, batch_size=together)

    if mesh is None:
        return part
    # As in `_predict_on`.
    cut = partial(jax.shard_map, mesh=mesh, check_vma=False)
    return jax.jit(cut(part, in_specs=P(SEED), out_specs=P(SEED)))


def place(tree: Any, mesh: Mesh, *, seeds: bool) -> Any:
    """Returns a tree on the mesh: everywhere or in its parts, seeds on their devices.

    Every process holds the same tree and calls this.

    Args:
      tree: arrays on the host or on one device, keys among them.
      mesh: where to.
      seeds: whether the first axis of every leaf is that of the seeds.
    """

    def placed(leaf):
        ahead, shape = ((SEED,), leaf.shape[1:]) if seeds else ((), leaf.shape)
        spec = P(*ahead, *storage(shape, mesh))
        return _placed(leaf, NamedSharding(mesh, spec))

    return jax.tree.map(placed, tree)


def _placed(leaf: Any, sharding: NamedSharding) -> jax.Array:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = _placed(jax.random.key_data(leaf), sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    array = np.asarray(leaf)
    return jax.make_array_from_callback(array.shape, sharding, lambda at: array[at])


def gather(tree: Any, mesh: Mesh) -> Any:
    """Returns a tree that lay on the mesh, whole, on one device of every process.

    Every process calls this at the same place.
    """
    everywhere = NamedSharding(mesh, P())
    copied = jax.jit(lambda tree: tree, out_shardings=everywhere)(tree)
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), copied)
