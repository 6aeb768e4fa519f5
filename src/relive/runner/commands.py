"""Run commands one after the other, and say in a word and a sentence how it went."""

import shlex
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from relive.core.run import FailureReason, ResourceUse, RunStatus
from relive.errors import CommandFailed
from relive.runner.lease import Lease, Over
from relive.runner.output import Sink
from relive.runner.process import STOP_GRACE_S, Ended, Process, Terms

_MIB: Final = 1024 * 1024
_LAST_LINE_CHARACTERS: Final = 300
# What bash does itself although there may be a program of that name.
_BUILTIN: Final = (
    *(
        "bg",
        "builtin",
        "cd",
        "command",
        "coproc",
        "echo",
        "eval",
        "exec",
        "exit",
        "export",
        "fg",
        "jobs",
        "kill",
    ),
    *(
        "printf",
        "pwd",
        "read",
        "set",
        "test",
        "time",
        "times",
        "trap",
        "type",
        "ulimit",
        "umask",
        "wait",
        ".",
    ),
)


@dataclass(frozen=True)
class CommandPlan:
    """Commands and the world they run in.

    Attributes:
        commands: Lines for the shell, or one command as its arguments.
        timeout_s: For all of them together.
        opened: File to which the recorder writes what they open; None to leave it away.
        policy: File that says what they may read, write and reach; None for no walls.
        announce: Whether each is written into the log before it starts.
    """

    commands: tuple[str | tuple[str, ...], ...]
    workdir: Path
    environment: Mapping[str, str]
    timeout_s: float | None = None
    memory_bytes: int | None = None
    opened: Path | None = None
    policy: Path | None = None
    announce: bool = True
    stdin: IO[bytes] | None = None


@dataclass(frozen=True)
class Outcome:
    """How the commands ended; `failure` is None if all went well."""

    status: RunStatus
    exit_code: int | None
    use: ResourceUse
    failure: FailureReason | None = None
    reason: str = ""


def run_commands(plan: CommandPlan, sink: Sink, lease: Lease) -> Outcome:
    """Run the commands until one fails, the time is over, or the claim is.

    Raises:
        Superseded: Another claim took over; the command was ended.
    """
    use = ResourceUse(0.0, 0.0, 0)
    deadline = None if plan.timeout_s is None else time.monotonic() + plan.timeout_s
    for command in plan.commands:
        if lease.over is not None:
            break
        kills_before = _kernel_kills()
        try:
            ended, timed_out = _run_one(plan, command, sink, lease, deadline)
        except CommandFailed as error:
            return Outcome(RunStatus.FAILED, 127, use, FailureReason.FAILURE, error.what())
        use = _sum(use, ended.use)
        lease.check()
        is_cancelled = lease.over is Over.CANCELLED
        if not is_cancelled and (timed_out or not ended.is_good):
            failure, reason = _why(plan, _shown(command), ended, timed_out, kills_before)
            last = "" if timed_out else _last_line(sink)
            return Outcome(RunStatus.FAILED, _exit_code(ended), use, failure, reason + last)
    lease.check()
    if lease.over is Over.CANCELLED:
        return Outcome(RunStatus.KILLED, None, use, FailureReason.CANCELLED, "cancelled")
    return Outcome(RunStatus.FINISHED, 0, use)


def _run_one(
    plan: CommandPlan, command: str | tuple[str, ...], sink: Sink, lease: Lease, deadline: float | None
) -> tuple[Ended, bool]:
    """Run one command; give how it ended, and whether it was ended because the time was over."""
    if plan.announce:
        sink.take(sink.mask.feed(f"$ {_shown(command)}\n".encode()))
    terms = Terms(memory_bytes=plan.memory_bytes, stdin=plan.stdin, opened=plan.opened, policy=plan.policy)
    process = Process(_argv(command, plan), plan.workdir, plan.environment, sink, terms)
    lease.when_over(process.stop)
    try:
        ended = process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        if ended is not None:
            return ended, False
        process.stop()
        return process.wait() or _never(), True
    except BaseException:
        process.stop(grace_s=STOP_GRACE_S)
        process.wait()
        raise
    finally:
        lease.forget(process.stop)


def _argv(command: str | tuple[str, ...], plan: CommandPlan) -> tuple[str, ...]:
    """Give the program to start: for a plain line its own, so that a replay starts what a run by hand did."""
    if isinstance(command, tuple):
        return command
    words = _plain_words(command)
    if words and shutil.which(_from(plan.workdir, words[0]), path=plan.environment.get("PATH")):
        return words
    bash = shutil.which("bash")
    return (bash, "-eo", "pipefail", "-c", command) if bash else ("/bin/sh", "-e", "-c", command)


def _plain_words(line: str) -> tuple[str, ...]:
    """Give the words of a line that means the same to every shell, nothing in it to expand; else none."""
    try:
        words = tuple(shlex.split(line))
    except ValueError:
        return ()  # a quote is open: that is for the shell to say
    is_plain = words and shlex.join(words) == line
    return words if is_plain and "=" not in words[0] and words[0] not in _BUILTIN else ()


def _from(folder: Path, program: str) -> str:
    return str(folder / program) if "/" in program else program


def _why(
    plan: CommandPlan, command: str, ended: Ended, timed_out: bool, kills_before: int | None
) -> tuple[FailureReason, str]:
    if timed_out:
        return FailureReason.TIMEOUT, f"{command} did not end within {plan.timeout_s:g} s and was ended"
    if ended.over_memory_bytes and plan.memory_bytes:
        used, limit = ended.over_memory_bytes // _MIB, plan.memory_bytes // _MIB
        return (
            FailureReason.OOM,
            f"{command} was ended: its processes used {used} MiB of memory, {limit} allowed",
        )
    if ended.is_recorder_lost:
        return (
            FailureReason.WORKER_LOST,
            f"{command} was ended: the process that records its opens was killed",
        )
    if not ended.is_known:
        return FailureReason.FAILURE, f"{command} was ended: the process that watches over it was killed"
    number = ended.signal or (ended.exit_code or 0) - 128
    if number == signal.SIGKILL:
        return _why_killed(command, kills_before)
    if number in set(signal.Signals):
        name = signal.strsignal(number) or f"signal {number}"
        return FailureReason.FAILURE, f"{command} was ended by signal {number} ({name})"
    return FailureReason.FAILURE, f"{command} ended with exit code {ended.exit_code}"


def _why_killed(command: str, kills_before: int | None) -> tuple[FailureReason, str]:
    """Say who sent SIGKILL: the kernel counts those it ends for want of memory, if it lets us read it."""
    kills_after = _kernel_kills()
    if kills_before is None or kills_after is None:
        return FailureReason.OOM, f"{command} was killed, probably by the kernel for want of memory"
    if kills_after > kills_before:
        return FailureReason.OOM, f"{command} was killed by the kernel: the machine was out of memory"
    return FailureReason.FAILURE, f"{command} was killed (SIGKILL) by another process"


def _kernel_kills() -> int | None:
    try:
        with open("/proc/vmstat", "rb") as file:
            counts = dict(line.split() for line in file)
        return int(counts[b"oom_kill"])
    except (OSError, KeyError, ValueError):
        return None


def _exit_code(ended: Ended) -> int | None:
    """Give the code that a shell would show: 128 and the signal for a command that one ended."""
    return 128 + ended.signal if ended.signal else ended.exit_code


def _last_line(sink: Sink) -> str:
    """Give the last thing that was printed, which is most often why."""
    text = sink.log.end(4096).decode(errors="replace").strip()
    line = text.rpartition("\n")[2].strip()
    return f": {line[:_LAST_LINE_CHARACTERS]}" if line and not line.startswith("$ ") else ""


def _shown(command: str | tuple[str, ...]) -> str:
    return command if isinstance(command, str) else " ".join(command)


def _sum(one: ResourceUse, other: ResourceUse) -> ResourceUse:
    largest = max(one.max_rss_bytes, other.max_rss_bytes)
    return ResourceUse(one.wall_s + other.wall_s, one.cpu_s + other.cpu_s, largest)


def _never() -> Ended:
    raise AssertionError("waiting without a limit gives an end")
