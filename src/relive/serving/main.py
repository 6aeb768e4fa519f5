"""The commands of a model's process.

    serve     load a model, warm it up with its example, then answer requests until SIGTERM
    describe  load a model, predict example rows, write signature.json and expected.json
    check     load a model and compare its predictions with the recorded ones

Exit codes: 0 done, 1 it failed (one line on standard error says why), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import Any

from .faults import Fault, PackageMissing


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    try:
        # They import NumPy and h11. Late, so that an environment without them gets one clear line.
        from . import commands
    except ImportError as error:
        return _fail(PackageMissing(error.name or "numpy", "serving a model", str(error)))
    try:
        commands.COMMANDS[options.command](options)
    except Fault as fault:
        return _fail(fault)
    return 0


def _fail(fault: Fault) -> int:
    sys.stderr.write(f"{fault}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="relive_serving", description="Serve, describe or check one model version."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = _command(commands, "serve")
    serve.add_argument("--signature", required=True, help="signature.json of the registration")
    serve.add_argument("--name", required=True, help="model name in the protocol's paths")
    serve.add_argument("--version", required=True, help="model version in the protocol's paths")
    where = serve.add_mutually_exclusive_group(required=True)
    where.add_argument("--uds", help="unix socket to listen on")
    where.add_argument("--port", type=int, help="TCP port to listen on, 0 for any free one")
    serve.add_argument("--host", default="127.0.0.1", help="address for --port")
    serve.add_argument("--drain-s", type=float, default=30.0, help="time for requests in work after SIGTERM")
    serve.add_argument("--max-body-bytes", type=int, default=64 << 20, help="larger requests are refused")
    serve.add_argument("--die-with-parent", action="store_true", help="end when the parent process ends")
    describe = _command(commands, "describe")
    describe.add_argument("--example", required=True, help="rows.csv, rows.json or rows.npz")
    describe.add_argument("--out", required=True, help="folder for signature.json and expected.json")
    check = _command(commands, "check")
    check.add_argument("--signature", required=True, help="signature.json of the registration")
    check.add_argument("--expected", help="expected.json; by default the one beside signature.json")
    return parser


def _command(commands: Any, name: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name)
    parser.add_argument("--model", required=True, help="the model folder")
    parser.add_argument("--loader", default="auto", help="module:function of the repository, or auto")
    parser.add_argument("--code", default="", help="the repository's code folder, put on sys.path")
    return parser
