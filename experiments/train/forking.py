"""--fork: a new run that begins where another one is."""

import jax
import numpy as np

from experiments.common.cli import ConfigError
from experiments.train import saved_run
from experiments.train.config import Config
from experiments.train.starting import difference
from lstm_jax.training import checkpoints, loop, validation
from lstm_jax.training.updates import NEVER


def forked(
    config: Config, path: str, initial: loop.TrainState
) -> tuple[loop.TrainState, list[str]]:
    """Returns the newest state of another run, its ends undone, and what to say of it.

    What its validation found is not taken over: the new run may validate on other data.
    `initial` has leaves (run, ...).

    Raises:
      ConfigError: `path` holds no whole checkpoint, or a state of another structure.
    """
    saved = saved_run.newest("fork", path)
    seeds = np.ndim(saved.state["step"])
    arrays = {n: a if seeds else a[None] for n, a in saved.state.items()}
    like = initial._replace(best=None)
    wanted = checkpoints.named_arrays(like)
    found = {name: a for name, a in arrays.items() if not name.startswith("best/")}
    found |= {n: a for n, a in wanted.items() if not a.size and n not in found}
    kinds = [
        {n: (str(a.dtype), *a.shape) for n, a in of.items()} for of in (found, wanted)
    ]
    if kinds[0] != kinds[1]:
        raise ConfigError(
            f"fork: {path!r} has another state than these flags: {difference(*kinds)}"
        )
    state = checkpoints.with_arrays(like, found)
    never = jax.numpy.full_like(state.step, NEVER)
    state = state._replace(diverged_at=never, solved_at=never)
    step = int(np.max(state.step))
    if step > config.num_steps:
        raise ConfigError(
            f"num_steps: got {config.num_steps}; it must be at least {step}, where the "
            f"run in {path!r} is"
        )
    if initial.best is not None:
        best = jax.vmap(validation.begin)(state.params)
        state = state._replace(best=best._replace(step=state.step))
    return state, [f"It goes on from step {step} of {path}."]
