"""lstm_jax: recurrent cells as pure functions, and how far their gradients reach.

The names that are needed first, by what they are for (`lj.LSTM?` has its equations,
`help(lj.unroll)` an example):

Cells
    Cell, CELLS           the contract of a cell; every cell by its name
    RNN, LSTM, GRU        the standard ones; `rnn` makes others
    FOUR_GATE             the LSTM of four gates; `four_gate` makes its variant
    lstm_gates, learn_gate, forget_gate, remember_gate, use_gate
                          gates as functions
    stack, residual, learned_carry, zoneout, mixed, with_keys, Keyed
                          cells of cells
    RNNParams, RNNCarry, LSTMParams, LSTMCarry, Gates, GRUParams, FourGateParams,
    FourGateCarry         weights and memories, named tuples of arrays

Over time
    unroll                a cell over a sequence; `unroll_carries` keeps every memory
    unroll_bidirectional, unroll_truncated, unroll_reference
    parallel_unroll       all steps at once, by Newton's method
    trace                 what every gate and the memory say, by name
    last_step             outputs at the last step of sequences of different lengths
    clip_backward, cut_backward
                          limit what travels back
    scan, scan_report     a scan that knows the weights of its step

How far the gradient reaches
    carry_gradients       dL / d(memory) at every step
    gradient_norms, log_gradient_norms, joint_log_norms, log_shares
                          its norms, their logarithms, what is left of them
    decay_rate, fit_decay, DecayFit, half_life, horizon
                          a curve as one number
    input_gradients, log_input_gradient_norms
                          the same for the inputs
    step_jacobians, lyapunov_exponents
                          what one step does, what a whole run does

Tasks and training
    Task, Batch, TASKS    the contract of a task, and every task by its name
    train, train_many     one network; seeds and settings side by side
    evaluate              loss and accuracy

Other libraries
    from_torch, to_torch  weights from and to PyTorch
    from_linen, from_nnx, from_haiku, from_equinox, from_function
                          a cell of Flax, Haiku, Equinox, or of any function

Namespaces
    cells                 all cells and wrappers
    gradients             all measurements: paths, influence, Jacobians, recorder, ...
    tasks                 all tasks, and the factories of those with options
    training              states, histories, curricula, success rates
    adapters              other libraries
    data                  tables of your own, from a file
    theory                closed forms, each with the range where it holds
    initializers          initial weights and biases, gate by gate
    plots                 figures
"""

import importlib
from typing import TYPE_CHECKING, Any

from lstm_jax import adapters, cells, data, gradients, initializers, tasks, training
from lstm_jax.adapters import (
    from_equinox,
    from_function,
    from_haiku,
    from_linen,
    from_nnx,
    from_torch,
    to_torch,
)
from lstm_jax.backward import clip_backward, cut_backward
from lstm_jax.cells import (
    CELLS,
    FOUR_GATE,
    GRU,
    LSTM,
    RNN,
    Cell,
    FourGateCarry,
    FourGateParams,
    Gates,
    GRUParams,
    Keyed,
    LSTMCarry,
    LSTMParams,
    RNNCarry,
    RNNParams,
    forget_gate,
    four_gate,
    learn_gate,
    learned_carry,
    lstm_gates,
    mixed,
    remember_gate,
    residual,
    rnn,
    stack,
    use_gate,
    with_keys,
    zoneout,
)
from lstm_jax.engine import scan, scan_report
from lstm_jax.gradients import (
    DecayFit,
    carry_gradients,
    decay_rate,
    fit_decay,
    gradient_norms,
    half_life,
    horizon,
    input_gradients,
    joint_log_norms,
    log_gradient_norms,
    log_input_gradient_norms,
    log_shares,
    lyapunov_exponents,
    step_jacobians,
)
from lstm_jax.newton import parallel_unroll
from lstm_jax.readouts import last_step
from lstm_jax.tasks import TASKS, Batch, Task
from lstm_jax.tracing import trace
from lstm_jax.training import evaluate, train, train_many
from lstm_jax.unrolling import (
    unroll,
    unroll_bidirectional,
    unroll_carries,
    unroll_reference,
    unroll_truncated,
)

if TYPE_CHECKING:
    from lstm_jax import plots, theory

    __version__: str

__all__ = [
    # Cells, and their gates as functions
    "Cell", "CELLS", "RNN", "rnn", "RNNParams", "RNNCarry",
    "LSTM", "LSTMParams", "LSTMCarry", "Gates", "lstm_gates", "GRU", "GRUParams",
    "FOUR_GATE", "four_gate", "FourGateParams", "FourGateCarry",
    "learn_gate", "forget_gate", "remember_gate", "use_gate",
    # Cells of cells
    "stack", "residual", "learned_carry", "zoneout", "mixed", "with_keys", "Keyed",
    # Cells over sequences
    "unroll", "unroll_carries", "unroll_reference", "unroll_bidirectional",
    "unroll_truncated", "parallel_unroll",
    "trace", "last_step", "clip_backward", "cut_backward", "scan", "scan_report",
    # How far the gradient reaches
    "carry_gradients", "gradient_norms", "log_gradient_norms", "joint_log_norms",
    "log_shares",
    "decay_rate", "fit_decay", "DecayFit", "half_life", "horizon",
    "input_gradients", "log_input_gradient_norms", "step_jacobians",
    "lyapunov_exponents",
    # Tasks and training
    "Task", "Batch", "TASKS", "train", "train_many", "evaluate",
    # Other libraries
    "from_torch", "to_torch", "from_linen", "from_nnx", "from_haiku", "from_equinox",
    "from_function",
    # Namespaces
    "cells", "gradients", "tasks", "training", "adapters", "data", "theory",
    "initializers", "plots",
    "__version__",
]  # fmt: skip

# theory needs SciPy and plots matplotlib, which take as long to load as the rest.
_ON_FIRST_USE = ("theory", "plots")


def __getattr__(name: str) -> Any:
    if name in _ON_FIRST_USE:
        return importlib.import_module(f"lstm_jax.{name}")
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("lstm_jax")
    raise AttributeError(f"module 'lstm_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
