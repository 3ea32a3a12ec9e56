"""logistic_outputs: a task whose answers are given by logistic units, as in 1997."""

from typing import Any

import jax
from jaxtyping import Array

from lstm_jax.factories import factory
from lstm_jax.tasks.task import Batch, Task, check_task


def logistic_outputs(task: Task) -> Task:
    """Returns the task that reads σ(outputs) where the given one reads outputs.

    Its answers lie in (0, 1), and the gradient of the squared error has the factor
    σ' <= 1/4: the output units of Hochreiter & Schmidhuber (1997), for tasks that ask
    for numbers. Batches, floor and plateaus are the task's. Tasks that ask for classes
    have `units="logistic"` instead.

    Args:
      task: one whose targets are numbers in [0, 1], such as adding_1997.

    Raises:
      TypeError: it is no task.

    Example:
      >>> task = lj.tasks.logistic_outputs(lj.TASKS["adding_1997"])
      >>> batch = task.sample(jax.random.key(0), 1, 110)
      >>> right = jnp.log(batch.targets / (1 - batch.targets))[:, None]
      >>> bool(task.correct(right, batch)[0])
      True

    References:
      Hochreiter & Schmidhuber (1997), sections 4 and 5,
      https://doi.org/10.1162/neco.1997.9.8.1735
    """
    check_task(task)
    return _logistic_outputs(task)


@factory
def _logistic_outputs(task: Task) -> Task:
    def activated(score: Any) -> Any:
        def of_activations(outputs: Array, batch: Batch) -> Array:
            return score(jax.nn.sigmoid(outputs), batch)

        return of_activations

    return Task(
        name=task.name,
        input_size=task.input_size,
        output_size=task.output_size,
        answers=task.answers,
        sample=task.sample,
        sample_test=task.sample_test,
        sample_valid=task.sample_valid,
        loss=activated(task.loss),
        accuracy=activated(task.accuracy),
        floor=task.floor,
        plateaus=task.plateaus,
        correct=None if task.correct is None else activated(task.correct),
    )
