"""The same as `benchmarks/cases/adding.py`, in PyTorch."""

from typing import Any

import torch

import lstm_jax as lj
from benchmarks.cases import adding
from benchmarks.peers import pytorch
from benchmarks.shapes import Shape
from lstm_jax.readouts import LinearParams
from lstm_jax.training.models import ModelParams


class TorchModel(torch.nn.Module):
    """An LSTM whose last output one linear unit reads, with our weights."""

    def __init__(self, model: ModelParams):
        """Copies our weights."""
        super().__init__()
        self.lstm = pytorch.lstm(model.cell)
        self.lstm.bias_hh_l0.requires_grad_(False)  # only one b, like ours
        self.readout = torch.nn.Linear(
            len(model.readout.w), len(model.readout.b), device=pytorch.device()
        )
        with torch.no_grad():
            self.readout.weight.copy_(pytorch.tensor(model.readout.w).T)
            self.readout.bias.copy_(pytorch.tensor(model.readout.b))

    def forward(self, xs: torch.Tensor) -> torch.Tensor:
        """Returns the answers, (batch,)."""
        return self.readout(self.lstm(xs)[0][-1])[:, 0]

    def loss(self, xs: torch.Tensor, sums: torch.Tensor) -> torch.Tensor:
        """Returns the mean squared error."""
        return torch.mean((self(xs) - sums) ** 2)

    def loss_and_gradient(self, batch: lj.Batch) -> tuple[Any, ModelParams]:
        """Returns both in our form."""
        pytorch.forget_gradients(self)
        value = self.loss(pytorch.tensor(batch.inputs), pytorch.tensor(batch.targets))
        value.backward()
        w: Any = pytorch.tensor_gradient(self.readout.weight).T
        b: Any = pytorch.tensor_gradient(self.readout.bias)
        cell = pytorch.gradients(self.lstm)
        return pytorch.array(value), ModelParams(cell, LinearParams(w, b))


class Training:
    """A model with its optimiser; `step` is one update."""

    def __init__(self, model: ModelParams, shape: Shape):
        """Begins the training of a copy of our model."""
        self.shape = shape
        self.model = TorchModel(model)
        self.trained = [one for one in self.model.parameters() if one.requires_grad]
        # fused: PyTorch's fastest Adam on the CPU.
        self.optimizer = torch.optim.Adam(self.trained, lr=adding.RATE, fused=True)

    def step(self) -> torch.Tensor:
        """Draws a batch; loss, gradient, clip, Adam."""
        self.optimizer.zero_grad()
        value = self.model.loss(*sample(self.shape.time, self.shape.batch))
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, adding.LARGEST_NORM)
        self.optimizer.step()
        return value


def sample(time: int, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws numbers in [0, 1), one mark in each half of the time."""
    with torch.device(pytorch.device()):
        numbers, marks = torch.rand(time, batch), torch.zeros(time, batch)
        columns = torch.arange(batch)
        marks[torch.randint(0, time // 2, (batch,)), columns] = 1
        marks[torch.randint(time // 2, time, (batch,)), columns] = 1
    return torch.stack([numbers, marks], dim=-1), (numbers * marks).sum(0)
