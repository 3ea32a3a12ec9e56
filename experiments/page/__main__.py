"""The command of `experiments.page`."""

from pathlib import Path

from experiments.common import cli
from experiments.common.lock import alone_in
from experiments.page import NAME, Config, page, run
from lstm_jax.training import disk


def write(config: Config, out: Path) -> None:
    """Trains the networks and writes page.html."""
    with alone_in(out):
        networks = run(config)
        disk.replace_file(out / "page.html", page(networks).encode())
    for name, network in networks.cells.items():
        print(f"{name:<10} {network.accuracy:.2f} right; {network.about}")
    print(f"\n{networks.seconds:.0f} s; page.html in {out.resolve()}")


if __name__ == "__main__":
    cli.start(Config, write, f"out/{NAME}")
