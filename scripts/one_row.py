"""Runs one row at one size, and stores its record; `scripts/reproduce` starts this.

python -m scripts.one_row latch standard experiments/reference

The criteria are its last line on stdout, as JSON.
"""

import json
import signal
import sys
from importlib import import_module
from pathlib import Path

from experiments.common import devices, environment, records, rows
from experiments.common.errors import ConfigError
from experiments.common.lock import alone_in
from lstm_jax.training import disk


def run(name: str, size: str, out: Path) -> list[rows.Check]:
    """Runs a row, stores it whole in its folder under `out`, and returns its criteria.

    What the run or its criteria raise leaves the stored record as it was.
    """
    module, code = import_module(f"experiments.{name}"), environment.code()
    with disk.folder_if_used(out / name), alone_in(out / name):
        found = module.run(rows.config_of(module, size))
        record = rows.marked(found, module.ROW, size, code)
        checks = list(module.ROW.checks(record))
        rows.verdict(module.ROW, checks)  # refuses a row without criteria
        records.save(record, module.plot(record), out / name)
    return checks


def main(arguments: list[str]) -> None:
    """Runs NAME SIZE FOLDER of the command line."""
    # Ctrl-C on a terminal reaches this process too; who started it ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    name, size, out = arguments
    try:
        devices.begin(devices.AUTO)
        print(json.dumps(run(name, size, Path(out)), default=bool))
    except ConfigError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
