"""Lists the experiments, each with its question: python -m experiments."""

import sys
from importlib.metadata import version

from experiments.common.usage import questions

if __name__ == "__main__" and "--version" in sys.argv[1:]:
    print(f"lstm_jax {version('lstm_jax')}")
elif __name__ == "__main__":
    for name, question in questions().items():
        print(f"python -m experiments.{name:<16} {question}")
    print("\nEach takes --help. Read first: python -m experiments.gradient_decay")
