"""One question to a model in its own process: bounded in time and in what it prints, ended with its job."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from relive.runner.lease import Lease
from relive.runner.masking import Mask
from relive.runner.output import OutputLog, Sink
from relive.runner.process import Process

_KEPT_BYTES: Final = 64 * 1024
_LAST_BYTES: Final = 4096
_LAST_LINES: Final = 8


class ModelFailed(OSError):
    """The model could not be loaded or asked; the text is what it said."""


def ask(
    argv: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    lease: Lease,
    *,
    timeout_s: float,
    log: Path,
) -> None:
    """Run a command; it ends, with whatever it started, once its time or the claim is over.

    Args:
        argv: The command.
        cwd: Where it runs.
        environment: All of its variables.
        lease: The claim of the job that asks.
        timeout_s: Seconds it may take.
        log: Folder for what it prints; made if absent.

    Raises:
        ModelFailed: It failed, or was ended; with the last lines it printed.
        CommandFailed: It could not be started.
    """
    output = OutputLog(log, kept_bytes=_KEPT_BYTES)
    process = Process(argv, cwd, environment, Sink(output, Mask(())))
    lease.when_over(process.stop)
    try:
        ended = process.wait(timeout_s)
        if ended is None:
            process.stop()
            process.wait()
    finally:
        lease.forget(process.stop)
        said = _last_lines(output)
        output.close()
    if ended is None:
        raise ModelFailed(f"There was no answer within {timeout_s:.0f} s. {said}".strip())
    if not ended.is_good:
        how = f"exit code {ended.exit_code}" if ended.signal is None else f"signal {ended.signal}"
        raise ModelFailed(said or f"It ended with {how}.")


def _last_lines(output: OutputLog) -> str:
    text = output.end(_LAST_BYTES).decode(errors="replace").strip()
    return "\n".join(text.splitlines()[-_LAST_LINES:])
