"""The settings of a run as JSON values, and how those of two runs differ."""

import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values as JSON reads them back; TypeError if it can't write them."""
    return json.loads(json.dumps(dict(values), default=_python))


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Returns one line per difference, "clip was 1.0 and is None"."""
    there, here = plain(there), plain(here)
    return [
        f"{name} was {there.get(name)!r} and is {here.get(name)!r}"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
        # As text, because NaN is not equal to itself.
        and json.dumps(there.get(name)) != json.dumps(here.get(name))
    ]


def random_numbers() -> dict[str, Any]:
    """Returns the settings of JAX that decide what is drawn from a key."""
    names = ("jax_default_prng_impl", "jax_threefry_partitionable")
    return {name: getattr(jax.config, name) for name in names}


def _python(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray | jax.Array):
        return np.asarray(value).tolist()
    raise TypeError(f"config: got {value!r}; it must be text, numbers, lists or None")
