"""IRNN: the ReLU network that starts out remembering everything.

The Elman RNN of `lstm_jax.cells.rnn` with φ = ReLU, started at W_hh = I and b = 0:

    h_t = max(0, x_t W_ih + h_{t-1} W_hh + b)     y_t = h_t

Shapes: x (*batch, input), h (*batch, hidden), W_ih (input, hidden),
W_hh (hidden, hidden), b (hidden,).

It has none of the four gates; at the start an active unit keeps its memory as it is and
adds the event to it, so the gradient reaches back unchanged as long as all units stay
active. Training is free to leave that start.

Its `init` takes the options of the Elman RNN; `gain` scales the identity: gain=0.01
starts with little memory. The paper draws W_ih from N(0, 0.001²):
`input_init=jax.nn.initializers.normal(0.001)`.

References:
  Le, Jaitly & Hinton (2015), https://arxiv.org/abs/1504.00941
"""

from lstm_jax import initializers
from lstm_jax.cells.cell import Cell
from lstm_jax.cells.rnn import init_carry, init_with, rnn

IRNN = Cell(
    name="irnn",
    init=init_with(initializers.identity),
    init_carry=init_carry,
    step=rnn("relu").step,
    gates=("h",),
    family="rnn",
)
