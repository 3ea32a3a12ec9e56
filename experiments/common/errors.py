"""What the command line says in one line, without a traceback."""

from experiments.common import wording


class ConfigError(ValueError):
    """A value that is not allowed; its message is one line for the user."""

    def __init__(self, message: str):
        """Makes one line of it, whatever a file or an argument put into it."""
        super().__init__(wording.one_line(message))
