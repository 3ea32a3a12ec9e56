"""TASKS: every task by its name. A new task adds its file and one line here."""

from lstm_jax.tasks.nature_show import NATURE_SHOW
from lstm_jax.tasks.task import Task

TASKS: dict[str, Task] = {
    "nature_show": NATURE_SHOW,
}
