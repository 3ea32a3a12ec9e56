"""PyTorch: `torch.nn.LSTM` with our weights, and its results in our form.

On the GPU where JAX is on it, else on the CPU.
"""

import os
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import numpy as np
import torch

import lstm_jax as lj


def use_all_cores() -> None:
    """Gives PyTorch one thread per core."""
    torch.set_num_threads(os.cpu_count() or 1)


@cache
def device() -> str:
    """Returns "cuda" where both libraries see a GPU, else "cpu"."""
    both = jax.default_backend() == "gpu" and torch.cuda.is_available()
    return "cuda" if both else "cpu"


def waited(run: Callable[[], Any]) -> Callable[[], Any]:
    """Returns a function that also waits for the GPU."""
    if device() == "cpu":
        return run

    def run_and_wait():
        result = run()
        torch.cuda.synchronize()
        return result

    return run_and_wait


def array(tensor: torch.Tensor) -> np.ndarray:
    """Returns a copy of the tensor on the host."""
    return tensor.detach().cpu().numpy().copy()


def lstm(params: lj.LSTMParams) -> torch.nn.LSTM:
    """Returns a layer with a copy of our weights; b is the first of its two biases."""
    input_size, hidden_size = params.w_ih.shape[0], params.w_hh.shape[0]
    module = torch.nn.LSTM(input_size, hidden_size)
    module.load_state_dict(
        {name: torch.tensor(value) for name, value in lj.to_torch(params).items()}
    )
    return module.to(device())


def tensor(array: Any) -> torch.Tensor:
    """Returns a copy of the array as a tensor."""
    return torch.tensor(np.asarray(array), device=device())


def gradients(module: torch.nn.LSTM) -> lj.LSTMParams:
    """Returns the gradients in our form; that of b is that of the first bias."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0")
    found = dict(module.named_parameters())
    arrays: list[Any] = [tensor_gradient(found[name]).T for name in names]
    return lj.LSTMParams(*arrays)


def tensor_gradient(of: torch.Tensor) -> np.ndarray:
    """Returns a copy of the gradient from the last backward pass."""
    if of.grad is None:
        raise ValueError("nothing was run backward")
    return array(of.grad)


def forget_gradients(module: torch.nn.Module) -> None:
    """Drops the gradients of the last backward pass."""
    for parameter in module.parameters():
        parameter.grad = None
