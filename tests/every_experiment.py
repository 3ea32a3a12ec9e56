"""The modules of all experiments that begin a network of their own."""

from experiments import (
    cliff,
    gradient_decay,
    gradient_paths,
    jacobian_laws,
    latch,
    lyapunov,
    nature_show,
    sweep,
    train,
    trainability,
)

MODULES = (
    *(cliff, gradient_decay, jacobian_laws, latch, lyapunov),
    *(nature_show, gradient_paths, sweep, train, trainability),
)
