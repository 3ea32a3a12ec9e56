"""A layer that is linear in its memory: as a tree, in pieces or whole, or by steps.

Ours are `unroll` with "associative", in pieces of about sqrt(T) steps ("pieces") or
in one ("one piece"), and with "auto", the scan. The peers are the same equations in
plain JAX, and in PyTorch a loop over at most `MOST_STEPS_OF_A_LOOP` steps.
"""

from collections.abc import Iterator

import torch

import lstm_jax as lj
from benchmarks.cases import layer_sides
from benchmarks.cases.layer_sides import Problem
from benchmarks.peers import linear as peers
from benchmarks.peers import pytorch
from benchmarks.peers.layers import Layer
from benchmarks.shapes import Shape
from benchmarks.sides import Comparison, Setting, Side

CELLS = (lj.cells.LRU, lj.cells.MIN_GRU, lj.cells.SELECTIVE_SSM)
WORK = {"forward": layer_sides.forward, "forward+backward": layer_sides.backward}
PAIRS = (
    ("pieces", "auto"),
    ("pieces", "one piece"),
    ("pieces", "whole tree"),
    ("one piece", "whole tree"),
    ("auto", "plain scan"),
)
MEASURES = ("time", "compile", "memory")  # against "auto"; long trees compile slowly
MOST_STEPS_OF_A_LOOP = 1024


def linear(shape: Shape, setting: Setting) -> Iterator[Comparison]:
    """Every cell forward, and forward and backward: each of `PAIRS`, and PyTorch."""
    for cell in CELLS:
        problem = layer_sides.draw(shape, cell)
        for work, side in WORK.items():
            sides = {
                layer.name: side(layer, problem, setting)
                for layer in layers(cell, shape)
            }
            pairs = [(sides[ours], sides[peer]) for ours, peer in PAIRS]
            if cell is lj.cells.SELECTIVE_SSM and shape.time <= MOST_STEPS_OF_A_LOOP:
                pairs.append((sides["auto"], torch_side(problem, work)))
            for ours, peer in pairs:
                what = f"{cell.name}, {work}"
                measures = MEASURES if peer.name == "auto" else ("time", "memory")
                yield Comparison("linear", shape.name, what, ours, peer, measures)


def layers(cell: lj.Cell, shape: Shape) -> Iterator[Layer]:
    """Yields our layers of a cell, then the peers in JAX."""
    tree = {"implementation": "associative"}
    ways = {
        "pieces": tree,
        "one piece": {**tree, "checkpoint_every": shape.time},
        "auto": {},
    }
    for name, options in ways.items():

        def apply(params, xs, options=options):
            return lj.unroll(cell, params, xs, **options)[1]

        yield Layer(name, copy=lambda params: params, apply=apply)
    for run in peers.RUNS:
        yield peers.layer(cell.name, run)


def torch_side(problem: Problem, work: str) -> Side:
    """Returns the loop in PyTorch, as `layer_sides.forward` or `backward`."""
    weights = {
        name: pytorch.tensor(leaf) for name, leaf in problem.params._asdict().items()
    }
    xs, cotangent = pytorch.tensor(problem.xs), pytorch.tensor(problem.cotangent)
    leaves = [*weights.values(), xs]

    def forward():
        with torch.no_grad():
            return peers.torch_selective_ssm(weights, xs)

    def backward():
        loss = (peers.torch_selective_ssm(weights, xs) * cotangent).sum()
        return loss.detach(), torch.autograd.grad(loss, leaves)

    def gradients():
        loss, (*of_weights, of_xs) = backward()
        params = type(problem.params)(*map(pytorch.array, of_weights))
        return pytorch.array(loss), params, pytorch.array(of_xs)

    if work == "forward":
        run = pytorch.waited(forward)
        return Side("PyTorch loop", run, answer=lambda: (pytorch.array(forward()),))
    for leaf in leaves:
        leaf.requires_grad_()
    return Side("PyTorch loop", pytorch.waited(backward), answer=gradients)
