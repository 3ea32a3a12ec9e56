"""PyTorch on the CPU: `torch.nn.LSTM` with our weights, and its answers as ours."""

import os
from typing import Any

import numpy as np
import torch

import lstm_jax as lj


def use_all_cores() -> None:
    """Gives PyTorch as many threads as there are cores."""
    torch.set_num_threads(os.cpu_count() or 1)


def lstm(params: lj.LSTMParams) -> torch.nn.LSTM:
    """Returns a layer with a copy of our weights; b goes into one of its two biases."""
    input_size, hidden_size = params.w_ih.shape[0], params.w_hh.shape[0]
    module = torch.nn.LSTM(input_size, hidden_size)
    module.load_state_dict(
        {name: torch.tensor(value) for name, value in lj.to_torch(params).items()}
    )
    return module


def tensor(array: Any) -> torch.Tensor:
    """Returns a copy as a tensor."""
    return torch.tensor(np.asarray(array))


def gradients(module: torch.nn.LSTM) -> lj.LSTMParams:
    """Returns the gradients as ours; that of the first bias is that of b."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0")
    found = dict(module.named_parameters())
    arrays: list[Any] = [tensor_gradient(found[name]).T for name in names]
    return lj.LSTMParams(*arrays)


def tensor_gradient(of: torch.Tensor) -> np.ndarray:
    """Returns a copy of what the last backward pass left."""
    if of.grad is None:
        raise ValueError("nothing was run backward")
    return of.grad.numpy().copy()


def forget_gradients(module: torch.nn.Module) -> None:
    """Drops what the last backward pass left."""
    for parameter in module.parameters():
        parameter.grad = None
