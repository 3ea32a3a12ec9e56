"""Training on many devices: batch, seeds and weights are cut over a mesh.

    mesh = mesh_of("data:4,seed:2")
    program = runs.program(recipe, mesh=mesh)
    keys, settings = program.place((keys, settings))
    state = program.place(program.begin(keys, settings))
    state, history = program.steps(state, settings, 100)

Everything but the unroll is written as for one device: XLA draws the batch where it is
read (`jax.random` gives each device its part of the same numbers); loss and optimiser
see whole arrays. The unroll and the readout run in `jax.shard_map`, on each device's
own sequences, because XLA alone would gather what the engine merges
(docs/decisions/002-engine.md); its transpose sums the gradients over devices.

"unit:2" stores large weights, and their optimiser state, in two parts (`storage`), only
to save memory. Its devices share the sequences as those of "data" do; a weight is
gathered once per update, before the unroll, and its gradient is summed straight into
the parts, which moves as many bytes as a sum of whole gradients. If the recurrent
product itself were cut, every step would wait for the other devices' part of h, 2 T
exchanges per update instead of two (docs/scaling.md).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float

from lstm_jax.cells.cell import Cell
from lstm_jax.cells.stochastic import KeyedCell
from lstm_jax.inputs import is_key
from lstm_jax.tasks.task import Batch, Task
from lstm_jax.training.models import ModelParams, predict

DATA, SEED, UNIT = "data", "seed", "unit"
# The axes that exchange most come last: seeds exchange nothing, sequences their
# gradients, parts of a weight both gradients and weights.
AXES = (SEED, DATA, UNIT)
ALLOWED = "data:N, seed:N, unit:N or several with commas, N at least 1"
# Least size of a weight stored in parts: the recurrent weights of an LSTM of 128 units.
# Gathering smaller ones costs time and saves no memory worth it.
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


def num_devices(text: str | None) -> int:
    """Returns how many devices the mesh of a text has; one if there is none."""
    return 1 if text is None else math.prod(parse_mesh(text).values())


def mesh_of(text: str, devices: Sequence[Any] | None = None) -> Mesh:
    """Returns the mesh "data:4,seed:2": the batch in four parts, the seeds in two.

    Args:
      text: number of devices along "data", "seed" or "unit", separated by commas.
      devices: to choose from, the first ones first; all devices if not given.

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
    """Refuses sequences or runs that can't be shared equally by the devices.

    `sizes` are the devices along each axis, a mesh's `shape`.
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
    """Returns how an array of the state, of one seed, is cut for storage.

    Along its last axis, units or gates, if it has at least `SMALLEST_CUT` numbers and
    the devices along "unit" divide that axis; otherwise every device stores it whole.
    """
    devices = mesh.shape.get(UNIT, 1)
    if devices == 1 or math.prod(shape) < SMALLEST_CUT or shape[-1] % devices:
        return P()
    return P(*[None] * (len(shape) - 1), UNIT)


def predict_over(mesh: Mesh, cell: Cell) -> Callable[..., Array]:
    """Returns `predict`, computed by each device for its own sequences.

    XLA carries the cut back to the random numbers, so each device also draws only its
    own part of the batch.

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
        # It would require every loop to mark its first carry as device-dependent.
        check_vma=False,
    )(params, batch)


def _whole(part: Array, stored: P) -> Array:
    """Returns a weight gathered from its parts; transposed, it sums gradients."""
    if UNIT not in stored:
        return part
    return jax.lax.all_gather(part, UNIT, axis=part.ndim - 1, tiled=True)


def _specs(task: Task, mesh: Mesh) -> Any:
    """Returns a `Batch` of how each array is cut: along its sequences."""
    rows = tuple(axis for axis in (DATA, UNIT) if axis in mesh.axis_names)
    asked: Any = P(rows) if task.answers == "last_step" else P(None, rows)
    specs: dict[str, Any] = dict(
        inputs=P(None, rows), targets=asked, weights=asked, lengths=P(rows)
    )
    return Batch(**specs)


def cuts_batches(mesh: Mesh) -> bool:
    """Whether several devices share a run, and not each run has one to itself."""
    return mesh.shape.get(SEED, 1) < mesh.size


def over_runs(
    function: Callable, *, mesh: Mesh | None, at_once: int | None = None
) -> Callable:
    """Returns a function of one run as a function over runs, without communication.

    `function(shared, *run)` becomes one of `(shared, *runs)`: what is shared, such as a
    task with its data, is the same in all runs; the first axis of every other array is
    that of the runs. Devices along "seed" get equal parts of them, by `jax.shard_map`,
    because XLA would gather a cut axis to loop over it; each device computes `at_once`
    of its runs side by side, all if None. A single run is not vmapped, which is faster.
    """

    def part(shared, *runs):
        def one(arguments):
            return function(shared, *arguments)

        if _is_single(runs):
            return _of_single(one, runs)
        if at_once is None:
            return jax.vmap(partial(function, shared))(*runs)
        # A run that is not vmapped keeps its branches and its plain products.
        together = None if at_once == 1 else at_once
        return jax.lax.map(one, runs, batch_size=together)

    if mesh is None:
        return part

    def cut(shared, *runs):
        specs = (P(), *[P(SEED)] * len(runs))
        # As in `_predict_on`.
        of = partial(jax.shard_map, mesh=mesh, check_vma=False)
        return of(part, in_specs=specs, out_specs=P(SEED))(shared, *runs)

    return jax.jit(cut)


def over_cut_runs(function: Callable) -> Callable:
    """Returns `over_runs` of a function whose batches `predict_over` cuts."""

    def over(shared, *runs):
        if _is_single(runs):
            return _of_single(lambda run: function(shared, *run), runs)
        return jax.vmap(partial(function, shared), spmd_axis_name=SEED)(*runs)

    return over


def _is_single(runs: Any) -> bool:
    return len(jax.tree.leaves(runs)[0]) == 1


def _of_single(function: Callable, runs: Any) -> Any:
    one = function(jax.tree.map(lambda leaf: leaf[0], runs))
    return jax.tree.map(lambda leaf: leaf[None], one)


def place(tree: Any, mesh: Mesh, *, seeds: bool) -> Any:
    """Returns a tree on the mesh, cut as by `storage`; `seeds` if axis 0 is the seeds.

    Every process calls this with the same tree, of arrays or keys.
    """

    def placed(leaf):
        ahead, shape = ((SEED,), leaf.shape[1:]) if seeds else ((), leaf.shape)
        spec = P(*ahead, *storage(shape, mesh))
        return _placed(leaf, NamedSharding(mesh, spec))

    return jax.tree.map(placed, tree)


def _placed(leaf: Any, sharding: NamedSharding) -> jax.Array:
    if isinstance(leaf, jax.Array) and is_key(leaf):
        data = _placed(jax.random.key_data(leaf), sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    array = np.asarray(leaf)
    return jax.make_array_from_callback(array.shape, sharding, lambda at: array[at])


def gather(tree: Any, mesh: Mesh) -> Any:
    """Returns a tree from the mesh, whole, on one device of every process.

    All processes must call this together.
    """
    everywhere = NamedSharding(mesh, P())
    copied = jax.jit(lambda tree: tree, out_shardings=everywhere)(tree)
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), copied)
