"""Runs the git binary: free of anyone's configuration, in bounded time, leaving no process behind."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from relive.errors import GitFailed

TIMEOUT_S: Final = 60.0
"""Longer than any command over one commit takes on a loaded machine."""

STREAM_TIMEOUT_S: Final = 3600.0
"""For commands that read a whole tree's content, fetch it or pack it."""

PROTOCOLS: Final = ("https", "http", "ssh", "git")
"""Ways to another repository; not `file`, by which a member would read what only the hub may."""

# What git needs of the hub's own environment to reach other machines.
_NETWORK: Final = frozenset(
    {
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("GIT_SSH_COMMAND", "SSH_AUTH_SOCK"),
    }
)
_GRACE_S: Final = 5.0
_LONGEST_REASON: Final = 2000


# The folder above is ours whoever owns the files in it, as on a mounted volume; and only the command
# line can say so once configuration files are off. Commands that git starts inherit it.
_BASE: Final = ("git", "-c", "safe.directory=*")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the whole environment of a git process: nothing of this machine's or user's configuration."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "XDG_CONFIG_HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        **{name: os.environ[name] for name in _NETWORK if name in os.environ},
        **(extra or {}),
    }


def command_line(*args: str) -> list[str]:
    """Give the command line for git with these arguments."""
    return [*_BASE, *args]


def run(
    args: Sequence[str],
    repository: Path | None = None,
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
    hold: int | None = None,
) -> bytes:
    """Run git to its end and give what it printed.

    Args:
        args: Without the word git.
        repository: The bare repository it works in.
        hold: A file descriptor that the process is to keep open while it lives.

    Raises:
        GitFailed: It ended with another code than 0, or not in time; with git's own words.
    """
    process = _start(args, repository, env, hold)
    try:
        out, err = process.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise _too_late(args, timeout_s) from None
    finally:
        _kill(process)
        _close(process)
    _check(args, process.returncode, err)
    return out


@contextmanager
def stream(
    args: Sequence[str], repository: Path, *, env: Mapping[str, str] | None = None
) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Run git and give its standard input and output, to be used piece by piece.

    Leaving the block early, by whatever way, ends git; leaving it after the last byte checks git's code.

    Raises:
        GitFailed: It ended with another code than 0, or not within an hour; with git's own words.
    """
    process = _start(args, repository, env, None)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    # Else a git that complains much would wait for a reader of its complaints, and we for git.
    complaints = _Drain(process.stderr)
    too_late = threading.Event()

    def give_up() -> None:
        too_late.set()
        _kill(process)

    timer = threading.Timer(STREAM_TIMEOUT_S, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield process.stdin, process.stdout
        process.stdin.close()
        if process.stdout.read(1) == b"":
            process.wait()
            if too_late.is_set():
                raise _too_late(args, STREAM_TIMEOUT_S)
            _check(args, process.returncode, complaints.text())
    finally:
        timer.cancel()
        _kill(process)
        complaints.text()
        _close(process)


def _start(
    args: Sequence[str], repository: Path | None, env: Mapping[str, str] | None, hold: int | None
) -> subprocess.Popen[bytes]:
    where = [f"--git-dir={repository}"] if repository else []
    return subprocess.Popen(
        command_line(*where, *args),
        env=environment(env),
        cwd=repository or "/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that its helpers can be ended with it
        pass_fds=() if hold is None else (hold,),
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End git and its helpers, if it has not ended."""
    if process.poll() is None:  # until it is waited for, its id is nobody else's
        os.killpg(process.pid, signal.SIGTERM)  # on which git removes its lock files
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        assert pipe is not None
        with suppress(BrokenPipeError):  # git ended before it read everything
            pipe.close()


class _Drain:
    """Reads a pipe to its end in a thread and keeps the last few kilobytes."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._tail = b""
        self._pipe = pipe
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while chunk := os.read(self._pipe.fileno(), 4096):
            self._tail = (self._tail + chunk)[-_LONGEST_REASON:]

    def text(self) -> bytes:
        self._thread.join()
        return self._tail


def _check(args: Sequence[str], code: int, stderr: bytes) -> None:
    if code:
        words = stderr.decode(errors="replace").strip()[-_LONGEST_REASON:]
        raise GitFailed(action=args[0], reason=words or f"exit code {code}")


def _too_late(args: Sequence[str], timeout_s: float) -> GitFailed:
    return GitFailed(action=args[0], reason=f"it was stopped after {timeout_s:.0f} s")
