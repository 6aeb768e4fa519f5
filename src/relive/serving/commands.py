"""What `main` can do, once NumPy is known to be there."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import os
import signal
import sys
import time
from typing import Any, Callable

from . import contract, describe, httpserver, load, signature
from .app import App, Served
from .faults import CannotLoad

PR_SET_PDEATHSIG = 1


def serve(options: argparse.Namespace) -> None:
    """Load, warm up, then listen; so whoever can connect finds a model that is ready."""
    if options.die_with_parent:
        _die_with_parent()
    learnt = signature.read(options.signature)
    model = load.load(options.model, loader=options.loader, code=options.code)
    describe.respond(model, learnt)  # the first prediction is slow in many libraries
    began = time.perf_counter()
    describe.respond(model, learnt)
    app = App(
        Served(model, learnt, options.name, options.version),
        max_body_bytes=options.max_body_bytes,
        typical_s=time.perf_counter() - began,
    )
    if options.uds:
        listener = httpserver.bind_unix(options.uds)
        address = f"unix:{options.uds}"
    else:
        listener = httpserver.bind_tcp(options.host, options.port)
        address = f"tcp:{options.host}:{listener.getsockname()[1]}"

    def started() -> None:
        _say({"listening": address, "pid": os.getpid(), "platform": model.platform})

    drained = asyncio.run(httpserver.Server(app, drain_s=options.drain_s).run(listener, started))
    if not drained:
        # Python would wait for the thread of a prediction that does not end; nothing is left to be saved.
        os._exit(0)


def describe_model(options: argparse.Namespace) -> None:
    """Write what registration keeps of a model, and report it."""
    model = load.load(options.model, loader=options.loader, code=options.code)
    description = describe.describe(model, options.example)
    description.write(options.out)
    learnt = description.signature
    report = {
        "platform": learnt.platform,
        "source": os.path.basename(model.source.rstrip("/")),
        "layout": learnt.layout,
        "inputs": [spec.name for spec in learnt.inputs],
        "outputs": [spec.name for spec in learnt.outputs],
    }
    _say(report)


def check(options: argparse.Namespace) -> None:
    """Run the contract test in this process."""
    learnt = signature.read(options.signature)
    beside = os.path.join(os.path.dirname(options.signature), contract.FILE_NAME)
    expected = signature.read_json(options.expected or beside)
    model = load.load(options.model, loader=options.loader, code=options.code)
    agreement = describe.check(model, learnt, expected)
    _say({"contract": "kept", "values": agreement.values, "largest_relative_difference": agreement.largest})


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "serve": serve,
    "describe": describe_model,
    "check": check,
}


def _say(report: dict[str, Any]) -> None:
    """Tell whoever started this process, in one line of JSON."""
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


def _die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent ends, so that no model outlives its supervisor."""
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise CannotLoad(f"The kernel refuses --die-with-parent: {os.strerror(ctypes.get_errno())}.")
    if os.getppid() != parent:  # it ended before the request was made
        raise CannotLoad("The parent process has ended already.")
