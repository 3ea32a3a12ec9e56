"""A network to explain: blocks, each of which is one cell that runs over a sequence.

A block is layers of one direction on top of one another, or the two directions of one
layer. The second runs in its own time: at step t the forward cell reads x_t, and the
backward one x_{T-1-t}. So both have read the whole sequence at the last step, and what
is measured of a cell is measured of both directions at once.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import lstm_jax as lj
from lstm_jax.types import Carry, Params

DIRECTIONS = lj.adapters.Directions._fields

Steps = Float[Array, "time *batch features"]


class Block(NamedTuple):
    """Cells that run as one, each with its own entry of params and carry."""

    cells: tuple[lj.Cell, ...]
    both: bool = False  # the directions of one layer; else layers, bottom to top

    @property
    def cell(self) -> lj.Cell:
        """Returns all cells as one."""
        return _both(*self.cells) if self.both else lj.stack(*self.cells)


Network = tuple[Block, ...]
Weights = tuple[tuple[Params, ...], ...]  # of every cell of every block


def of(cell: lj.Cell, params: Params) -> tuple[Network, Weights]:
    """Returns the blocks of a network, bottom to top, and the params of their cells.

    Args:
      cell: of the layer, `lj.stack` of several, or that of every direction.
      params: of it; of two directions `Directions`, or a tuple of them over layers.
    """
    if cell.layers:
        return (Block(cell.layers),), (tuple(params),)
    layers = params if type(params) is tuple else (params,)
    if isinstance(layers[0], lj.adapters.Directions):
        return tuple(Block((cell, cell), both=True) for _ in layers), (
            *map(tuple, layers),
        )
    return (Block((cell,)),), ((params,),)


def sizes(of: Network, params: Weights) -> tuple[int, int, int]:
    """Returns the features of an input, of the last memory, and of an output."""
    first, last = _plain(params[0][0]), _plain(params[-1][-1])
    carry = of[-1].cells[-1].init_carry(params[-1][-1])
    units = max(leaf.shape[-1] for leaf in jax.tree.leaves(carry))
    shown = last.w_hh.shape[0] * (1 + of[-1].both)
    return first.w_ih.shape[0], units, shown


def on_top(
    below: tuple[Network, Weights], above: tuple[Network, Weights]
) -> tuple[Network, Weights]:
    """Returns two networks as one; layers of one direction become one block."""
    (blocks, params), (more, more_params) = below, above
    last, first = blocks[-1], more[0]
    if last.both or first.both:
        return blocks + more, params + more_params
    joint = Block(last.cells + first.cells)
    return (
        (*blocks[:-1], joint, *more[1:]),
        (*params[:-1], params[-1] + more_params[0], *more_params[1:]),
    )


def _plain(params: Params) -> Any:
    """Returns the weights of a cell that learned its first memory, too."""
    return getattr(params, "cell", params)


def names(network: Network) -> tuple[str | int, ...]:
    """Returns what its cells are called: 0, 1, or "0 forward", "0 backward"."""
    found: list[str | int] = []
    layer = 0
    for block in network:
        if block.both:
            found += [f"{layer} {direction}" for direction in DIRECTIONS]
        else:
            found += range(layer, layer + len(block.cells))
        layer += 1 if block.both else len(block.cells)
    return tuple(found)


def called(names: Sequence[str | int]) -> list[str]:
    """Returns what cells are called in a sentence, "" if there is only one."""
    if len(names) == 1:
        return [""]
    if len(names) == 2 and isinstance(names[0], str):
        return list(DIRECTIONS)
    return [f"layer {name}" for name in names]


def paths(of: Network, params: Weights) -> tuple[tuple[str, ...], ...]:
    """Returns the paths of the gradient through a step of each cell, by name."""
    found = []
    for block, of_block in zip(of, params, strict=True):
        for cell, of_cell in zip(block.cells, of_block, strict=True):
            x = jnp.zeros(_plain(of_cell).w_ih.shape[0])
            found.append(lj.gradients.path_names(cell, of_cell, x))
    return tuple(found)


def reads_whole(network: Network) -> bool:
    """Whether an output hears the steps after it, too."""
    return any(block.both for block in network)


def entering(block: Block, xs: Steps) -> Steps:
    """Returns a sequence as the block reads it, in its own time."""
    return jnp.concatenate([xs, xs[::-1]], axis=-1) if block.both else xs


def leaving(block: Block, ys: Steps) -> Steps:
    """Returns what the block shows, in the time of the sequence."""
    if not block.both:
        return ys
    forward, backward = jnp.split(ys, 2, axis=-1)
    return jnp.concatenate([forward, backward[::-1]], axis=-1)


def last_output(
    network: Network, params: Weights, ys: Steps
) -> Float[Array, "*batch features"]:
    """Returns what the last block shows when it has read all.

    Args:
      network: blocks, of which the lowest has run.
      params: of all.
      ys: what it showed, in its own time.
    """
    below, *above = network
    for block, of_block in zip(above, params[1:], strict=True):
        xs = entering(block, leaving(below, ys))
        ys, below = lj.unroll(block.cell, of_block, xs)[1], block
    return ys[-1]


class Run(NamedTuple):
    """What a block reads, in its own time, and the memory it begins with."""

    block: Block
    params: tuple[Params, ...]
    xs: Steps
    carry: tuple[Carry, ...]


def runs(
    of: Network, params: Weights, xs: Steps, carry: tuple[Carry, ...]
) -> list[Run]:
    """Returns the runs of all blocks, given what the lowest reads and begins with."""
    found = [Run(of[0], params[0], xs, carry)]
    for block, of_block in zip(of[1:], params[1:], strict=True):
        below = found[-1]
        ys = lj.unroll(below.block.cell, *below[1:])[1]
        xs = entering(block, leaving(below.block, ys))
        carry = block.cell.init_carry(of_block, xs.shape[1:-1])
        found.append(Run(block, of_block, xs, carry))
    return found


def inputs_of(run: Run) -> list[Steps]:
    """Returns what every cell of a block reads, in its own time."""
    if run.block.both:
        return jnp.split(run.xs, 2, axis=-1)
    found = [run.xs]
    for cell, *one in zip(run.block.cells, run.params, run.carry, strict=True):
        params, carry = one
        found.append(lj.unroll(cell, params, found[-1], carry)[1])
    return found[:-1]  # and what the last one shows


# Cached, so that it is one cell and compiled once.
@cache
def _both(forward: lj.Cell, backward: lj.Cell) -> lj.Cell:
    """Returns two cells side by side: the first reads the first half of x."""
    cells = (forward, backward)

    def init_carry(params, batch_shape=()):
        pairs = zip(cells, params, strict=True)
        return tuple(cell.init_carry(of_cell, batch_shape) for cell, of_cell in pairs)

    def step(params, carry, x):
        halves = jnp.split(x, 2, axis=-1)
        done = [
            cell.step(*one)
            for cell, *one in zip(cells, params, carry, halves, strict=True)
        ]
        carries, ys = zip(*done, strict=True)
        return carries, jnp.concatenate(ys, axis=-1)

    return lj.Cell(
        name=f"{forward.name} both ways",
        init=forward.init,
        init_carry=init_carry,
        step=step,
        gates=tuple(f"{at}.{gate}" for at in (0, 1) for gate in forward.gates),
    )
