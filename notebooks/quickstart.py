# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How far does a gradient reach?
#
# By hand what `./scripts/run gradient_decay` does by one command: make a cell,
# run it over a sequence, ask how much of the last step's gradient arrives at every
# earlier one, and draw it. Open this file as a notebook with Jupytext, or run it.

# %%
# %matplotlib inline
import jax
from matplotlib.figure import Figure

import lstm_jax as lj
from lstm_jax import plots

# %% [markdown]
# ## A sequence
#
# One nature show: a scene, 40 images that say nothing, and a question. Images are
# handwritten digits that stand in for animals; inputs are `(time, batch, input)`.

# %%
task = lj.tasks.nature_show()
shows = task.sample(jax.random.key(0), batch_size=16, max_length=42)
print("inputs", shows.inputs.shape, "answers", shows.targets.shape)

# %% [markdown]
# ## Three cells
#
# A cell is three pure functions, `init`, `init_carry` and `step`, and its parameters
# are a named tuple of arrays. `unroll` runs any cell over a sequence.

# %%
cells = {"rnn": lj.RNN, "lstm": lj.LSTM, "four_gate": lj.FOUR_GATE}
params = {
    name: cell.init(jax.random.key(1), task.input_size, hidden_size=64)
    for name, cell in cells.items()
}
carry, ys = lj.unroll(cells["lstm"], params["lstm"], shows.inputs)
print("ys", ys.shape, "long-term memory", carry.c.shape)

# %% [markdown]
# ## The four gates, one at a time
#
# A bear comes on. What does an empty memory learn, keep, remember and use?

# %%
weights = params["four_gate"]
memory = lj.FOUR_GATE.init_carry(weights)
bear = shows.inputs[0, 0]
learned = lj.learn_gate(weights, memory.stm, bear)
kept = lj.forget_gate(weights, memory.ltm, memory.stm, bear)
ltm = lj.remember_gate(kept, learned)
stm = lj.use_gate(weights, kept, memory.stm, bear)
print("LTM is what was learned:", bool((ltm == learned).all()))
print("STM is still empty:", bool((stm == 0).all()))

# %% [markdown]
# ## The gradient at every step
#
# Entry t belongs to the memory that enters step t. `log_gradient_norms` returns natural
# logarithms and does not underflow, however long the sequence.


# %%
def last_output(ys):
    """Returns the sum of the last output: any scalar of ys will do."""
    return ys[-1].sum()


log_norms = {
    name: lj.joint_log_norms(
        lj.log_gradient_norms(cell, params[name], shows.inputs, last_output)
    )
    for name, cell in cells.items()
}
for name, curve in log_norms.items():
    rate = float(lj.decay_rate(curve).mean())
    print(f"{name:<10} {rate:+.3f} nats per step")

# %% [markdown]
# At a forget bias of 1 an untrained LSTM forgets too, only more slowly. A larger bias
# keeps its gates open; biases are ordinary options of `init`, so they `vmap`.


# %%
def rate_at(forget_bias):
    """Returns the decay rate of an untrained LSTM with that forget bias."""
    weights = lj.LSTM.init(jax.random.key(1), 64, 64, forget_bias=forget_bias)
    norms = lj.log_gradient_norms(lj.LSTM, weights, shows.inputs, last_output)
    return lj.decay_rate(lj.joint_log_norms(norms)).mean()


biases = jax.numpy.arange(0.0, 6.0)
for bias, rate in zip(biases, jax.vmap(rate_at)(biases), strict=True):
    print(f"forget bias {bias:.0f}: {rate:+.3f} nats per step")


# %% [markdown]
# ## Sequences of different lengths
#
# Padding is on the right. A loss of `ys[-1]` would read padding of the shorter ones,
# and is refused; `readouts.last_step` reads each at its own last step. `by_lag` then
# moves the curves so that these meet: entry t has lag T - t for all, and NaN stands
# before a sequence began.

# %%
lengths = jax.numpy.array([42] * 8 + [12] * 8)
norms = lj.log_gradient_norms(
    lj.LSTM,
    params["lstm"],
    shows.inputs,
    lambda ys: lj.last_step(ys, lengths).sum(),
    lengths=lengths,
)
curves = lj.gradients.by_lag(lj.joint_log_norms(norms), lengths)
reach = ~jax.numpy.isnan(curves[-20])
print("sequences that reach a lag of 20:", int(reach.sum()))
print("nats per step of a short one", float(lj.decay_rate(curves)[-1]))

# %% [markdown]
# ## The figure


# %% tags=["hide-input"]
@plots.styled
def draw():
    """Draws the median share over the shows, in its quartile band."""
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    for name, curve in log_norms.items():
        shares = lj.log_shares(curve)[::-1]
        quartiles = jax.numpy.percentile(
            shares, jax.numpy.array([25.0, 50.0, 75.0]), axis=1
        )
        plots.share_curve(axes, jax.device_get(quartiles), name, name)
    plots.log_axis(axes, 41, "Untrained: share of the gradient left")
    axes.legend()
    return figure


figure = draw()
figure
