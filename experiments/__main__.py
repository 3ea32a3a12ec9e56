"""Lists the experiments, each with its question: python -m experiments."""

import sys
from importlib.metadata import version

from experiments.common.pipes import quiet_when_unread
from experiments.common.usage import questions


def show() -> None:
    """Prints the commands, or with --version what is installed."""
    if "--version" in sys.argv[1:]:
        print(f"lstm_jax {version('lstm_jax')}")
        return
    for name, question in questions().items():
        print(f"python -m experiments.{name:<16} {question}")
    print("\nEach takes --help. Read first: python -m experiments.gradient_decay")


if __name__ == "__main__":
    with quiet_when_unread():
        show()
