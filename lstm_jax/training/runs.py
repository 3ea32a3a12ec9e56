"""Many runs as one program: seeds and settings side by side.

    runs = program(Recipe(cell, task, optax.adam, hidden_size=32, ...))
    settings = Settings({"learning_rate": jnp.array([1e-3, 1e-2])}, {})
    state = runs.begin(jax.random.split(key, 2), settings)
    state, history = runs.steps(state, settings, 100)
    runs.test(jax.random.split(other_key, 2), state).accuracy

The first axis of every array is that of the runs, even for a single run.
"""

from collections.abc import Callable, Mapping
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Key

from lstm_jax.cells.cell import Cell
from lstm_jax.checks import check_array, check_function, check_type
from lstm_jax.tasks.task import Task
from lstm_jax.training import loop, sharding, validation
from lstm_jax.training.batches import Drawing
from lstm_jax.training.curricula import Length
from lstm_jax.training.loop import History, TrainState
from lstm_jax.training.models import Evaluation
from lstm_jax.training.sharding import SEED, over_runs

MOST_STEPS = 1000


class Recipe(NamedTuple):
    """What all runs of a program share: the arguments of `train`.

    Attributes:
      optimizer_of: `(**hyperparams) -> optax.GradientTransformation`, called with the
        traced numbers of one run.
    """

    cell: Cell
    task: Task
    optimizer_of: Callable[..., optax.GradientTransformation]
    hidden_size: int
    batch_size: int
    length: Length
    max_length: int | None = None
    init_options: Mapping[str, Any] = {}
    stop_after: int | None = None


class Settings(NamedTuple):
    """What differs between runs; arrays (run, ...) by name.

    Attributes:
      hyperparams: arguments of `optimizer_of`.
      init_options: arguments of `cell.init`, besides those of the recipe.
    """

    hyperparams: Mapping[str, Any] = {}
    init_options: Mapping[str, Any] = {}


class Program(NamedTuple):
    """Runs as compiled functions; leaves of all arrays are (run, ...).

    Attributes:
      begin: `(keys, settings) -> TrainState`, on one device of every process.
      place: moves the arguments of the others to the devices of the mesh.
      steps: `(state, settings, num_steps) -> (TrainState, History)`, compiled for any
        number of steps up to `most_steps`; results do not depend on how they are cut.
      test: `(keys, state, batch_size, length) -> Evaluation`, one run after the other.
      validate: `(keys, state, batch_size, length, patience) -> (TrainState,
        Evaluation)`, on data of `task.sample_valid`, likewise; `state.best` is from
        `validation.begin`.
      gather: moves a tree from the mesh to one device of every process.
    """

    begin: Callable[..., TrainState]
    place: Callable[[Any], Any]
    steps: Callable[..., tuple[TrainState, History]]
    test: Callable[..., Evaluation]
    validate: Callable[..., tuple[TrainState, Evaluation]]
    gather: Callable[[Any], Any]


def program(
    recipe: Recipe,
    *,
    most_steps: int = MOST_STEPS,
    mesh: Mesh | None = None,
    runs_at_once: int | None = None,
    compiler_options: Mapping[str, Any] | None = None,
) -> Program:
    """Returns the runs of a recipe as one program; errors as in `train`.

    Args:
      recipe: what they share.
      most_steps: updates of one call, entries of its history.
      mesh: devices along "seed" share the runs, those along "data" and "unit" the
        batch of each; one device if not given.
      runs_at_once: runs that a device trains side by side, if no batch is cut; all if
        not given.
      compiler_options: of XLA, as `jax.jit` takes them.
    """
    _check_drawn(recipe.task)
    drawing = Drawing("sample", recipe.batch_size, recipe.length, recipe.max_length)
    loop.check_updates(recipe.task, drawing, recipe.stop_after)
    predict = loop.predict
    side_by_side = partial(over_runs, mesh=mesh, at_once=runs_at_once)
    if mesh is not None and sharding.cuts_batches(mesh):
        predict = sharding.predict_over(mesh, recipe.cell)
        side_by_side = sharding.over_cut_runs

    # The task is an argument: data that a program closes over are constants in it.
    def steps(task, state, settings, num_steps):
        def one(shared, state, settings):
            task, num_steps = shared
            step = step_of(recipe._replace(task=task), settings, predict=predict)
            return loop.train_chunk(state, num_steps, step, most_steps=most_steps)

        return side_by_side(one)((task, num_steps), state, settings)

    def scores(part, task, keys, params, batch_size, length):
        drawing = Drawing(part, batch_size, length)

        def one(task, key, params):
            return loop.scores(key, recipe.cell, task, params, drawing)

        # Test sequences of all runs at once need gigabytes.
        return over_runs(one, mesh=mesh, at_once=1)(task, keys, params)

    def test(task, keys, state, batch_size, length):
        return scores("sample_test", task, keys, state.params, batch_size, length)

    def validate(task, keys, state, batch_size, length, patience):
        found = scores("sample_valid", task, keys, state.params, batch_size, length)
        judged = jax.vmap(partial(validation.judged, patience=patience))
        going = loop.is_going(state)
        best = judged(state.best, state.params, found.loss, state.step, going)
        return best, found

    def validated(task, keys, state, *sizes):
        best, found = compiled_validate(task, keys, state, *sizes)
        return state._replace(best=best), found

    options = None if compiler_options is None else dict(compiler_options)
    compiled = partial(jax.jit, compiler_options=options)
    compiled_validate = compiled(validate, static_argnums=(3, 4, 5))
    return Program(
        begin=compiled(partial(over_runs(begin, mesh=None), recipe)),
        place=_same if mesh is None else partial(sharding.place, mesh=mesh, seeds=True),
        steps=partial(compiled(steps), recipe.task),
        test=partial(compiled(test, static_argnums=(3, 4)), recipe.task),
        validate=partial(validated, recipe.task),
        gather=_same if mesh is None else partial(sharding.gather, mesh=mesh),
    )


def begin(recipe: Recipe, key: Array, settings: Settings) -> TrainState:
    """Returns the state of one run before its first update."""
    return loop.init_train_state(
        key,
        recipe.cell,
        recipe.task,
        recipe.optimizer_of(**settings.hyperparams),
        hidden_size=recipe.hidden_size,
        init_options={**recipe.init_options, **settings.init_options},
    )


def step_of(recipe: Recipe, settings: Settings, **options: Any) -> Callable:
    """Returns one update of one run, see `loop.step_function`."""
    return loop.step_function(
        recipe.cell,
        recipe.task,
        recipe.optimizer_of(**settings.hyperparams),
        batch_size=recipe.batch_size,
        length=recipe.length,
        max_length=recipe.max_length,
        stop_after=recipe.stop_after,
        **options,
    )


def _same(tree: Any) -> Any:
    return tree


def train_many(
    keys: Key[Array, " run"],
    cell: Cell,
    task: Task,
    optimizer_of: Callable[..., optax.GradientTransformation],
    *,
    hyperparams: Mapping[str, Any],
    init_options: Mapping[str, Any] | None = None,
    hidden_size: int,
    num_steps: int,
    batch_size: int,
    length: Length,
    max_length: int | None = None,
    stop_after: int | None = None,
    mesh: Mesh | None = None,
    runs_at_once: int | None = None,
) -> tuple[TrainState, History]:
    """Trains many models in one program: `train`, over keys and settings.

    In `hyperparams` and `init_options`, arrays have one entry per run along their first
    axis; anything else (a number, a tuple, a dtype, a function) applies to all runs. A
    list could mean either and is refused.

        rates = jnp.tile(jnp.array([1e-3, 3e-3]), 5)           # two rates, five seeds
        keys = jnp.repeat(jax.random.split(key, 5), 2)
        states, histories = train_many(
            keys, cell, task, optax.adam, hyperparams={"learning_rate": rates}, ...)
        states.diverged_at.reshape(5, 2), histories.loss.reshape(5, 2, num_steps)

    A run that diverges is marked and frozen; the others go on. Over a mesh, each device
    trains its own runs, and none waits for another:

        mesh = sharding.mesh_of("seed:2")       # jax.config: jax_num_cpu_devices = 2
        train_many(..., mesh=mesh, runs_at_once=1)

    On an accelerator all runs at once, the default, are fastest; on CPU devices one run
    after the other on each: eight updates of eight runs (adding, T = 200,
    B = 32, H = 128; two cores) took 422 ms all at once on one device and 324 ms one
    after the other; on two devices, one per core, 293 and 199 ms.

    Arguments as in `train`, and

        keys           one per run
        optimizer_of   (**hyperparams) -> optax.GradientTransformation, called with the
                       traced numbers of one run
        mesh           devices along "seed" (`sharding.mesh_of`) get equal parts of the
                       runs; one device if not given
        runs_at_once   runs that one device trains side by side, by `jax.vmap`; all if
                       not given, 1 is one after the other

    Returns:
      State and history with leaves (run, ...), cut over the mesh if there is one.

    Raises:
      ValueError: `keys` or an array does not have one entry per run, a setting is a
        list, the runs can't be cut into equal parts, the mesh has devices that would
        get none, or as in `train`.

    Example:
      >>> import optax
      >>> keys = jax.random.split(jax.random.key(0), 2)
      >>> states, histories = lj.train_many(
      ...     keys, lj.LSTM, lj.tasks.PARITY, optax.adam,
      ...     hyperparams={"learning_rate": jnp.array([1e-3, 1e-2])},
      ...     hidden_size=4, num_steps=3, batch_size=2, length=5,
      ... )
      >>> histories.loss.shape
      (2, 3)
    """
    check_function("optimizer_of", optimizer_of, "(**hyperparams) -> optimizer")
    check_type("hyperparams", hyperparams, Mapping, "a mapping of settings")
    check_type("init_options", init_options, Mapping | None, "a mapping of options")
    _check_drawn(task)
    num_runs = _num_runs(keys)
    _check_parts(num_runs, mesh, runs_at_once)
    options = {"hyperparams": hyperparams, "init_options": init_options or {}}
    per_run, shared = _split(options, num_runs)
    recipe = Recipe(
        cell,
        task,
        partial(optimizer_of, **shared["hyperparams"]),
        hidden_size=hidden_size,
        batch_size=batch_size,
        length=length,
        max_length=max_length,
        init_options=shared["init_options"],
        stop_after=stop_after,
    )

    def one(task, key, settings):
        of = recipe._replace(task=task)
        state = begin(of, key, settings)
        return loop.train_steps(state, num_steps, step_of(of, settings))

    over = over_runs(one, mesh=mesh, at_once=runs_at_once)
    return over(task, keys, Settings(**per_run))


def _check_drawn(task: Any) -> None:
    """Refuses a task that many runs can't share."""
    if getattr(task, "batches", None) is not None:
        raise ValueError(
            f"task: got {task.name!r} of batches; it must be one that each run draws "
            "from, as of lj.tasks.from_arrays: lj.train alone pulls batches"
        )


def _num_runs(keys: Array) -> int:
    check_array("keys", keys, "an array of one key per run")
    if keys.ndim != 1:
        raise ValueError(
            f"keys: shape is {keys.shape}; it must be (run,), one key per run, as "
            "jax.random.split(key, n) makes them"
        )
    return keys.shape[0]


def _check_parts(num_runs: int, mesh: Mesh | None, runs_at_once: Any) -> None:
    sizes = {SEED: 1} if mesh is None else dict(mesh.shape)
    if mesh is not None and sizes.get(SEED) != mesh.size:
        raise ValueError(
            f"mesh: got {sizes}; it must have all devices along {SEED!r}, where the "
            "runs are cut"
        )
    if num_runs % sizes[SEED]:
        raise ValueError(
            f"keys: got {num_runs}; it must be a multiple of {sizes[SEED]}, the "
            f"devices along the mesh's {SEED!r}"
        )
    own = num_runs // sizes[SEED]
    if runs_at_once is not None and not _divides(runs_at_once, own):
        raise ValueError(
            f"runs_at_once: got {runs_at_once!r}; it must be a whole number that "
            f"divides {own}, the runs of a device"
        )


def _divides(part: Any, whole: int) -> bool:
    return isinstance(part, Integral) and int(part) >= 1 and whole % int(part) == 0


def _split(
    options: Mapping[str, Mapping[str, Any]], num_runs: int
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Returns what differs between runs and what they share, by argument."""
    per_run: dict[str, dict[str, Any]] = {}
    shared: dict[str, dict[str, Any]] = {}
    for argument, given in options.items():
        for name, value in given.items():
            if isinstance(value, list):
                raise ValueError(
                    f"{argument}[{name!r}]: got the list {value}; it must be an array "
                    "with one entry per key, as jnp.array(...), or a value for all runs"
                )
        arrays = {name for name, value in given.items() if _is_array(value)}
        for name in sorted(arrays):
            if given[name].shape[0] != num_runs:
                raise ValueError(
                    f"{argument}[{name!r}]: its first axis is {given[name].shape[0]}; "
                    f"it must be {num_runs}, one entry per key"
                )
        per_run[argument] = {name: given[name] for name in arrays}
        shared[argument] = {n: v for n, v in given.items() if n not in arrays}
    return per_run, shared


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array | np.ndarray) and value.ndim > 0
