"""Networks side by side: one cell, several forget biases, several seeds."""

import inspect
import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import lstm_jax as lj
from experiments.common import wording
from experiments.common.progress import Advance
from lstm_jax import theory
from lstm_jax.training import loop

MATCHED = "matched"
MOST_UPDATES_PER_CALL = 50  # how often progress is shown

TAUGHT = ("rnn", "lstm", "four_gate")  # the lesson's cells: compared by default


def options_of(cell: str) -> Collection[str]:
    """Returns the names of what `init` of this cell takes."""
    return inspect.signature(lj.CELLS[cell].init).parameters


HAS_FORGET_BIAS = tuple(name for name in lj.CELLS if "forget_bias" in options_of(name))


class Variant(NamedTuple):
    """A cell with one of its forget biases.

    Attributes:
      cell: its name in CELLS.
      forget_bias: None where the cell has no forget gate.
      order: which of the cell's biases.
      bias: the forget bias in words, of all of the cell's biases told apart.
    """

    cell: str
    forget_bias: float | None
    order: int
    bias: str = ""

    @property
    def label(self) -> str:
        """The name in tables."""
        return self.cell if self.forget_bias is None else f"{self.cell} b_f={self.bias}"

    @property
    def entry(self) -> dict[str, Any]:
        """The entry of a record's axis "variant"."""
        return {"label": self.label, **self._asdict()}

    @property
    def carousel_rate(self) -> float:
        """The rate ln σ(b_f) in nats per step; 0 where nothing is forgotten."""
        bias = self.forget_bias
        return 0.0 if bias is None else float(theory.carousel_rate(bias))


def variant_of(entry: dict[str, Any]) -> Variant:
    """Returns the variant of which a record's axis has the entry."""
    return Variant(**{name: entry[name] for name in Variant._fields})


def carousel_bias(lag: int, kept: float) -> float:
    """Returns the forget bias b at which σ(b)**lag = kept."""
    return -math.log(kept ** (-1 / lag) - 1)


def matched_bias(lag: int) -> float:
    """Returns the bias whose carousel keeps 3/4 over the lag, about ln(3.5 lag).

    Chrono's ln(lag - 1) keeps 1/e and is the least that a carousel needs.
    """
    return carousel_bias(lag, 0.75)


def variants_of(
    cell: str, forget_biases: Sequence[float | str], lag: int
) -> list[Variant]:
    """Returns a `Variant` per forget bias, "matched" being `matched_bias(lag)`."""
    if cell not in HAS_FORGET_BIAS:
        return [Variant(cell, None, 0)]
    values = [matched_bias(lag) if b == MATCHED else float(b) for b in forget_biases]
    biases = list(dict.fromkeys(values))
    texts = wording.told_apart(biases, digits=3)
    return [
        Variant(cell, bias, order, text)
        for order, (bias, text) in enumerate(zip(biases, texts, strict=True))
    ]


def optimizer(learning_rate: float) -> optax.GradientTransformation:
    """Returns Adam behind a clip of the gradient's global norm to 1."""
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(learning_rate))


def side_by_side(
    variants: Sequence[Variant], keys: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns keys and forget biases of all networks, (variant * seed,) each."""
    biases = [variant.forget_bias or 0.0 for variant in variants]
    return jnp.tile(keys, len(variants)), jnp.repeat(jnp.array(biases), len(keys))


def init_options(cell: str, forget_bias: Any, **options: Any) -> dict[str, Any]:
    """Returns those options that `init` of this cell takes."""
    given = {"forget_bias": forget_bias, **options}
    return {name: given[name] for name in given if name in options_of(cell)}


def updates_per_call(num_steps: int) -> int:
    """Returns the largest divisor of num_steps that shows progress often enough."""
    most = min(MOST_UPDATES_PER_CALL, num_steps)
    return max(d for d in range(1, most + 1) if num_steps % d == 0)


def _nothing(update: int, states: loop.TrainState) -> None:
    del update, states  # nobody wants to see them


def one_by_one(of_one: Callable) -> Callable:
    """Returns what `jax.vmap(of_one)` returns, by a loop over the networks."""
    return partial(jax.lax.map, of_one)


def train_side_by_side(
    states: loop.TrainState,
    cell: lj.Cell,
    task: lj.Task,
    transformation: optax.GradientTransformation,
    *,
    num_steps: int,
    batch_size: int,
    length: int,
    what: str,
    advance: Advance,
    per_call: int | None = None,
    between: Callable[[int, loop.TrainState], None] = _nothing,
    over_networks: Callable[[Callable], Callable] = jax.vmap,
) -> loop.TrainState:
    """Returns the states, leaves (network, ...), after `num_steps` updates.

    Args:
      states: of `init_train_state`, vmapped.
      cell: of all networks.
      task: trained on.
      transformation: the optimiser.
      num_steps: updates; at least 1.
      batch_size: sequences per update.
      length: steps of a sequence.
      what: is being trained, for the progress.
      advance: called with one unit per update.
      per_call: updates in one compiled call, a divisor of num_steps;
        `updates_per_call(num_steps)` by default.
      between: called with the updates done and the states, at the start and after
        every compiled call.
      over_networks: makes of the updates of one network those of all; `jax.vmap` or
        `one_by_one`, which is quicker to compile.
    """
    per_call = updates_per_call(num_steps) if per_call is None else per_call
    some_steps = jax.jit(
        over_networks(
            partial(
                loop.train_steps,
                cell=cell,
                task=task,
                optimizer=transformation,
                num_steps=per_call,
                batch_size=batch_size,
                length=length,
            )
        )
    )
    advance(what, 0)
    between(0, states)
    for done in range(per_call, num_steps + 1, per_call):
        states, _ = jax.block_until_ready(some_steps(states))
        advance(what, per_call)
        between(done, states)
    return states
