"""Run benchmarks and print their tables: `python -m tests.bench [--size full] [--rounds N] [NAME …]`."""

import argparse
import importlib
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.harness import measure, table

FOLDER = Path(__file__).parent
SIZES = ("small", "full")


def names() -> list[str]:
    """Name every benchmark: `import` for the module `bench_import`."""
    return sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))


def run(name: str, *, size: str, rounds: int) -> str:
    """Measure one benchmark and give its table."""
    benchmark = importlib.import_module(f"tests.bench.bench_{name}").benchmark(size)
    return table(benchmark.title, measure(benchmark, rounds=rounds))


def machine() -> str:
    """Say what the figures were measured on, and when."""
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}"
    )


def main() -> None:
    """Print the machine and one table a benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Benchmarks of relive, as ratios."
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(names())} (default: all)"
    )
    parser.add_argument("--size", choices=SIZES, default="small", help="how much work (default: small)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each case runs (default: 5)")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(names())):
        parser.error(f"no benchmark {', '.join(unknown)}; there are: {', '.join(names())}")
    print(f"{machine()}\n")
    for name in options.names or names():
        print(run(name, size=options.size, rounds=options.rounds))


if __name__ == "__main__":
    main()
