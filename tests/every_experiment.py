"""The modules of all experiments that begin a network of their own."""

from importlib import import_module

from experiments.common.usage import questions

OF_TRAINED = {"explain", "export"}  # they read one that was trained elsewhere
MODULES = [
    import_module(f"experiments.{n}") for n in questions() if n not in OF_TRAINED
]
