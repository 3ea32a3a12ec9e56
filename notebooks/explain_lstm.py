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
# # Explain a trained LSTM
#
# What did training change? Which unit remembers, for how long, and along which path
# does the gradient come? Here an LSTM learns to add two marked numbers of a sequence,
# and is looked into. (From a shell, `./scripts/run explain` writes such a
# report of a run, or of a `torch` file.) It needs the extra `plots`.

# %%
# %matplotlib inline
import jax
import jax.numpy as jnp
import optax
from matplotlib.figure import Figure

import lstm_jax as lj
from lstm_jax import plots
from lstm_jax.gradients import forget_factors, path_shares, unit_time_constants

LENGTH, UNITS = 30, 16
task = lj.tasks.ADDING

# %% [markdown]
# ## A trained network, and the same before training
#
# Zero updates give the initial network, because the key is the same.


# %%
def trained(num_steps):
    """Returns the params after so many updates."""
    state, _ = lj.train(
        jax.random.key(0),
        lj.LSTM,
        task,
        optax.adam(1e-2),
        hidden_size=UNITS,
        num_steps=num_steps,
        batch_size=32,
        length=LENGTH,
    )
    return state.params


stages = {"before": trained(0), "after": trained(1000)}
for when, params in stages.items():
    result = lj.evaluate(
        jax.random.key(1), lj.LSTM, task, params, batch_size=256, length=LENGTH
    )
    floor = task.floor(LENGTH)
    print(f"{when:<6} loss {result.loss:.4f} (without memory {floor:.4f})")

# %% [markdown]
# ## Who remembers?
#
# The forget gate of a unit multiplies its memory at every step. Averaged in logarithms
# over steps and sequences it gives the unit's time constant: the steps after which 1/e
# is left.

# %%
batch = task.sample_test(jax.random.key(2), batch_size=32, max_length=LENGTH)
for when, params in stages.items():
    factors = forget_factors(lj.LSTM, params.cell, batch.inputs)
    steps = jnp.sort(unit_time_constants(factors))[::-1]
    print(f"{when:<6} slowest units: {', '.join(f'{s:.1f}' for s in steps[:3])} steps;",
          f"median {float(jnp.median(steps)):.1f}")  # fmt: skip

# %% [markdown]
# ## What is in the memory?
#
# One sequence, the slowest unit first. In the upper row the marks: the two steps whose
# numbers are to be added.

# %% tags=["hide-input"]
params = stages["after"].cell
values = lj.trace(lj.LSTM, params, batch.inputs)
constants = unit_time_constants(forget_factors(lj.LSTM, params, batch.inputs))
slowest = jnp.argsort(-constants)[:8]


@plots.styled
def inside():
    """Draws marks, forget gates and memories of one sequence."""
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    top, gate, memory = figure.subplots(3, 1, height_ratios=(0.6, 3, 3), sharex=True)
    top.bar(range(LENGTH), jax.device_get(batch.inputs[:, 0, 1]), color=plots.GREY)
    top.set_yticks([])
    top.set_title("marks")
    forget = jax.device_get(values["f"][:, 0, slowest])
    plots.heat_map(gate, forget, "forget gate", signed=False)
    kept = jax.device_get(values["c"][:, 0, slowest])
    plots.heat_map(memory, kept, "memory c", signed=True)
    return figure


inside()

# %% [markdown]
# ## How far back does the gradient reach?
#
# The answer of the readout at the last step, differentiated with respect to the memory
# that enters each step, before and after.


# %% tags=["hide-input"]
def answer(params):
    """Returns the scalar that is differentiated, as a function of the outputs."""
    return lambda ys: (ys[-1] @ params.readout.w + params.readout.b).sum()


def log_share(params):
    """Returns ln(share left), lag first."""
    norms = lj.log_gradient_norms(lj.LSTM, params.cell, batch.inputs, answer(params))
    return lj.log_shares(lj.joint_log_norms(norms))[::-1]


@plots.styled
def draw():
    """Draws the median over the sequences, in its quartile band."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    for place, (when, params) in enumerate(stages.items()):
        quartiles = jnp.percentile(
            log_share(params), jnp.array([25.0, 50.0, 75.0]), axis=1
        )
        plots.share_curve(
            axes, jax.device_get(quartiles), "lstm", when, variant=1 - place
        )
    plots.log_axis(axes, LENGTH - 1, "Adding: share of the gradient left")
    axes.legend()
    return figure


figure = draw()
figure

# %% [markdown]
# ## Along which path?
#
# "cell" is what the forget gate keeps; i, f, g and o are the ways through a gate.

# %%
for when, params in stages.items():
    shares = path_shares(lj.LSTM, params.cell, batch.inputs, answer(params))
    means = {name: float(jnp.nanmean(share)) for name, share in shares.items()}
    print(f"{when:<6}", *(f"{name} {mean:+.2f} " for name, mean in means.items()))
