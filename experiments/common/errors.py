"""The error that a command line reports in one line, without a traceback."""

from experiments.common import wording


class ConfigError(ValueError):
    """A value that is not allowed; its message is one line for the user."""

    def __init__(self, message: str):
        """Escapes control characters and shortens, so that one line is left."""
        super().__init__(wording.one_line(message))
