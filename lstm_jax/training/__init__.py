"""From an initial cell to a trained one."""

from lstm_jax.training.curricula import growing_length
from lstm_jax.training.loop import (
    History,
    TrainState,
    init_train_state,
    train,
    train_step,
)
from lstm_jax.training.models import Evaluation, ModelParams, evaluate
from lstm_jax.training.runs import train_many
from lstm_jax.training.success import SuccessRate, success_rate

__all__ = [
    "train",
    "History",
    "TrainState",
    "init_train_state",
    "train_step",
    "train_many",
    "evaluate",
    "Evaluation",
    "ModelParams",
    "growing_length",
    "success_rate",
    "SuccessRate",
]
