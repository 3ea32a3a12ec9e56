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
# # The wolf on television
#
# You watch a nature show. A bear walks through a forest; then come trees, and more
# trees, and at last an animal of which the picture is blurred: a dog, or a wolf?
# The picture alone can't tell. But you remember the bear: this is a show about wild
# animals, so it's a wolf. Had you seen a cat by an armchair, it would be a dog.
#
# This is the story with which Luis Serrano introduces the LSTM in his lesson of the
# Udacity deep-learning course. Here it runs: a network watches the show and is asked.
# Handwritten digits stand in for the animals, 8 by 8 pixels each.

# %%
# %matplotlib inline
import jax
import jax.numpy as jnp
import optax
from matplotlib.figure import Figure

import lstm_jax as lj
from lstm_jax import plots, theory
from lstm_jax.tasks.nature_show import ANSWERS, ROLES, show_of

LAG = 10  # images between the scene and the question
task = lj.tasks.nature_show()
shows = task.sample_test(jax.random.key(0), batch_size=64, max_length=LAG + 2)
print("images:", shows.inputs.shape, "= (time, shows, pixels)")

# %% [markdown]
# The first image is the scene: a bear or a fox for the forest, a cat or an armchair for
# a home. In between come an oak, a pine, a squirrel, which live in both. In four shows
# of five the last image is one dog and one wolf, blended half and half.

# %% tags=["hide-input"]
told = show_of(jax.random.key(0), batch_size=64, max_length=LAG + 2)
number = int((told.answer == ANSWERS.index("wolf")).argmax())
middle = [ROLES[role] for role in told.distractors[:, number]]
scene = ROLES[told.scene[number]]
answer = ANSWERS[told.answer[number]]
captions = [scene, *middle, "dog+wolf"]


@plots.styled
def film():
    """Draws one show, image by image."""
    figure = Figure(figsize=(8, 1.1), layout="constrained")
    axes = figure.subplots()
    plots.film_strip(axes, jax.device_get(shows.inputs[:, number]), captions)
    return figure


print("the answer:", answer)
film()

# %% [markdown]
# ## Two memories
#
# The network carries two memories from image to image. The *long-term memory* (LTM)
# knows what the show is about. The *short-term memory* (STM) knows what just happened,
# and is also what the network says. With every image, the *event*, four gates work on
# them:
#
# | gate | does | equation |
# |---|---|---|
# | learn | takes what is new in STM and event, ignores a part of it | N · i |
# | forget | drops a part of the LTM | LTM · f |
# | remember | adds the two: the new LTM | kept + learned |
# | use | what the LTM knows, seen through STM and event: the new STM | U · V |
#
# Each is a function. A small network, untrained, 8 units:

# %%
params = lj.FOUR_GATE.init(jax.random.key(1), task.input_size, hidden_size=8)
memory = lj.FOUR_GATE.init_carry(params)
bear = shows.inputs[0, number]


def show(name, values):
    """Prints the first four units."""
    print(f"{name:<8}", *(f"{value:+.3f}" for value in values[:4]), "...")


# %% [markdown]
# ### The learn gate
#
# combines the short-term memory and the event into what is new, N, between -1 and 1,
# and multiplies it by the ignore factor i, between 0 and 1:
#
#     N = tanh([STM, event] W_n + b_n)
#     i = σ([STM, event] W_i + b_i)

# %%
learned = lj.learn_gate(params, memory.stm, bear)
show("learned", learned)

# %% [markdown]
# That is little. The bias b_i is -3 at the start, and σ(-3) = 0.05: an untrained
# network takes about a twentieth of what is new. The use gate makes up for it.
#
# ### The forget gate
#
# multiplies the long-term memory by f, between 0 and 1. At the first image there is
# nothing to forget. So that there is, here is also a memory full of ones:
#
#     f = σ([STM, event] W_f + b_f)

# %%
kept = lj.forget_gate(params, memory.ltm, memory.stm, bear)
show("kept", kept)
show("of ones", lj.forget_gate(params, jnp.ones(8), memory.stm, bear))

# %% [markdown]
# The bias b_f is 1 at the start, and σ(1) = 0.73: about three quarters of a full memory
# pass. Remember that number.
#
# ### The remember gate
#
# adds what was kept and what was learned. That is all it does, and it's the most
# important line of the lesson: nothing squashes the long-term memory on its way.

# %%
ltm = lj.remember_gate(kept, learned)
show("LTM", ltm)

# %% [markdown]
# ### The use gate
#
# asks what the kept memory knows, U, and lets STM and event say how much of it matters
# now, V:
#
#     U = tanh(kept W_u + b_u)
#     V = σ([STM, event] W_v + b_v)
#
# W_u is 10 times the identity at the start, so that little memory is heard well: each
# unit reads its own. (`lj.FOUR_GATE?` says why small memories are easier to train.)

# %%
stm = lj.use_gate(params, kept, memory.stm, bear)
show("STM", stm)

# %% [markdown]
# The STM is still empty: in the lesson the use gate reads what the *forget* gate let
# pass, and so the bear is heard one step later. (Most LSTMs read the new LTM;
# `lj.four_gate(use_input="ltm")` does.) The four calls are one step of the cell:

# %%
carry, said = lj.FOUR_GATE.step(params, memory, bear)
print("the same:", bool(jnp.allclose(carry.ltm, ltm) and jnp.allclose(said, stm)))

# %% [markdown]
# ## It learns
#
# 150 updates on shows of ten images between scene and question, with a forget bias
# of 3, of which more below.

# %%
state, history = jax.jit(
    lambda key: lj.train(
        key,
        lj.FOUR_GATE,
        task,
        optax.adam(3e-3),
        hidden_size=32,
        num_steps=150,
        batch_size=64,
        length=LAG + 2,
        init_options={"forget_bias": 3.0},
    )
)(jax.random.key(0))
result = lj.evaluate(
    jax.random.key(1), lj.FOUR_GATE, task, state.params, batch_size=512, length=LAG + 2
)
print(f"blurred images told right: {result.accuracy:.0%} (without memory: 50%)")

# %% [markdown]
# What its gates do during the show above. Each row is a unit, each column an image: the
# rows of the forget gate that stay dark keep the scene to the end.

# %% tags=["hide-input"]
values = lj.trace(lj.FOUR_GATE, state.params.cell, shows.inputs)


@plots.styled
def inside():
    """Draws the show, the forget gate and the long-term memory."""
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    top, gate, memory = figure.subplots(3, 1, height_ratios=(1, 3, 3))
    plots.film_strip(top, jax.device_get(shows.inputs[:, number]), captions)
    forget = jax.device_get(values["f"][:, number])
    plots.heat_map(gate, forget, "forget gate", signed=False)
    ltm = jax.device_get(values["ltm"][:, number])
    plots.heat_map(memory, ltm, "long-term memory", signed=True)
    return figure


inside()

# %% [markdown]
# ## Why three quarters are not enough
#
# A network learns by being told how its answer would change if the memory of an earlier
# step had been a little different: the gradient of the answer with respect to that
# memory. If nothing of it arrives at the first scene, nothing is learned about the
# scene. Along the long-term memory alone, each step multiplies it by f. After k steps
# σ(b_f)^k is left:

# %%
for bias in (0, 1, 3, 5):
    half = float(theory.carousel_half_life(bias))
    left = float(theory.carousel_share(bias, 40))
    print(f"bias {bias}: half is left after {half:6.1f} steps, {left:8.1e} after 40")

# %% [markdown]
# That is theory, for a network whose forget gates say nothing but their bias. Real
# gates read the images too, and the gradient has other paths. Measured, in untrained
# networks over 40 images, with theory in black:

# %% tags=["hide-input"]
long = task.sample(jax.random.key(2), batch_size=16, max_length=42)
networks = {
    "rnn": (lj.RNN, {}),
    "four_gate, bias 1": (lj.FOUR_GATE, {"forget_bias": 1.0}),
    "four_gate, bias 5": (lj.FOUR_GATE, {"forget_bias": 5.0}),
}


def log_shares(cell, options):
    """Returns ln(share of the gradient left), one column per show."""
    params = cell.init(jax.random.key(1), task.input_size, 64, **options)
    norms = lj.log_gradient_norms(cell, params, long.inputs, lambda ys: ys[-1].sum())
    return lj.log_shares(lj.joint_log_norms(norms))[::-1]


@plots.styled
def draw():
    """Draws the median over the shows, in its quartile band."""
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    for place, (label, (cell, options)) in enumerate(networks.items()):
        percent = jnp.array([25.0, 50.0, 75.0])
        quartiles = jnp.percentile(log_shares(cell, options), percent, axis=1)
        plots.share_curve(
            axes, jax.device_get(quartiles), cell.name, label, variant=max(0, place - 1)
        )
    for bias in (1.0, 5.0):
        rate = float(theory.carousel_rate(bias)) / jnp.log(10)
        plots.theory_line(
            axes, [0, 40], [0.0, 40 * float(rate)], f"σ({bias:.0f})ᵏ", named=True
        )
    plots.log_axis(axes, 41, "Untrained: share of the gradient left")
    axes.legend()
    return figure


figure = draw()
figure

# %% [markdown]
# The RNN has no long-term memory: all it keeps goes through a matrix and a tanh at
# every step. The four-gate cell at the usual bias of 1 forgets too, only more slowly,
# and less than the line says: what its forget gates lose, other ways bring back in
# part, through the gates and the short-term memory. At 5 all of the gradient arrives,
# and with the other ways more than all. This is what the experiment
# `./scripts/run gradient_decay` measures with care, over seeds, before and after
# training. And `./scripts/run page` writes a page in which you exchange the bear and
# move the forget bias, while three trained networks answer.
#
# ## Exercises
#
# 1. **By hand.** One unit, LTM 0.5, f = 0.8, N = -1, i = 0.25. What is the new LTM?
#    Check with `lj.remember_gate`.
# 2. **The first step.** Why is the STM empty after the first image? What changes with
#    `lj.four_gate(use_input="ltm")`?
# 3. **A bias for a lag.** Which forget bias keeps 3/4 of the gradient over 40 steps?
#    Solve σ(b)^40 = 3/4 for b, and check with `theory.carousel_share`.
# 4. **Lag.** Set `LAG = 20` and train at a forget bias of 1. What is the accuracy, and
#    what would it be without memory? Try 3, 4, 5.
# 5. **Who remembers?** Find the unit of the trained network whose forget gate is
#    largest over the show, and draw its LTM in shows of the forest and of a home.
# 6. **Erase it.** Set the LTM to zero after image 5 (`lj.unroll` takes a carry) and let
#    the network go on. How often is it right now?
# 7. **Too much memory.** Train with a forget bias of 20. Does it still learn? What does
#    a gate at σ(20) learn from?
# 8. **Another cell.** `lj.CELLS` has seventeen. Which ones learn the show at lag 20 in
#    300 updates? Order them by the slope of their untrained curve first, then train.
#    When is the order right?
