"""What the command line says in one line, without a traceback."""


class ConfigError(ValueError):
    """A value that is not allowed; its message is one line for the user."""
