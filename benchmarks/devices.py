"""One batch over several CPU devices, by `jax.shard_map`; over one, nothing changes."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from benchmarks.shapes import Shape
from benchmarks.sides import Setting

AXIS = "batch"
WHOLE = P()


def rows(batch_axis: int) -> P:
    """Returns the spec that splits an array along its batch axis."""
    return P(*[None] * batch_axis, AXIS)


def can_split(shape: Shape, setting: Setting) -> bool:
    """Whether every device gets the same number of sequences; if not, says so."""
    if shape.batch % setting.devices == 0:
        return True
    print(f"{shape.name}: a batch of {shape.batch} can't be split; left out")
    return False


def split(function: Callable, setting: Setting, in_specs: Any, out_specs: Any):
    """Returns the function, which every device runs on its own part."""
    if setting.devices == 1:
        return function
    # check_vma would require every loop to mark its first carry as device-varying.
    return jax.shard_map(
        function,
        mesh=_mesh(setting),
        in_specs=in_specs,
        out_specs=out_specs,
        check_vma=False,
    )


def place(arrays: tuple, setting: Setting, specs: tuple) -> tuple:
    """Moves the arrays to the devices that will read them."""
    if setting.devices == 1:
        return arrays
    mesh = _mesh(setting)
    return tuple(
        jax.device_put(array, NamedSharding(mesh, spec))
        for array, spec in zip(arrays, specs, strict=True)
    )


def total(values: Any, setting: Setting) -> Any:
    """Returns the sum over devices, inside `split`."""
    return values if setting.devices == 1 else jax.lax.psum(values, AXIS)


def mean(values: Any, setting: Setting) -> Any:
    """Returns the mean over devices, inside `split`."""
    return values if setting.devices == 1 else jax.lax.pmean(values, AXIS)


def _mesh(setting: Setting) -> Mesh:
    return Mesh(np.array(jax.devices()[: setting.devices]), (AXIS,))
