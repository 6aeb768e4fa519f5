"""The open run of a script: its metrics, parameters, tags, artifacts and steps, as records of a spool."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Callable

from .recorder import Recorder, current
from .schedule import Schedule
from .spool import Spool
from .values import LONGEST_NAME, as_mapping, flat, number, number_word, plain


class Config(dict[str, Any]):
    """The parameters of the open run; setting one records it. Keys can be read as attributes as well."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["_record"] = None

    def attach(self, record: Callable[[dict[str, Any]], None] | None) -> None:
        """Hand what is set from now on to this function; None to keep it to ourselves."""
        self.__dict__["_record"] = record

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def update(self, *args: Any, **keywords: Any) -> None:
        """Set several parameters at once, from a mapping, a dataclass or an `argparse.Namespace`."""
        given = {**(as_mapping(args[0]) if args and args[0] is not None else {}), **keywords}
        super().update(given)
        record = self.__dict__["_record"]
        if record is not None:
            record(given)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the run's config has no {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class Run:
    """The open run of this process; every method returns at once and none raises.

    Args:
        spool: Where records go; None if nobody listens.
        on_finish: Called once with the status when the run ends.

    Attributes:
        id: The run's id, empty if only the runner knows it.
        config: Its parameters; those set later are recorded too.
    """

    def __init__(
        self,
        spool: Spool | None,
        *,
        run_id: str = "",
        name: str = "",
        on_finish: Callable[[str], None] | None = None,
    ) -> None:
        self.id = run_id
        self.name = name
        self.config = Config()
        self.config.attach(self.record_params)
        self._spool = spool
        self._on_finish = on_finish
        self._pid = os.getpid()
        self._next_step = 0
        self._finished = False
        self._recorder: Recorder | None = None
        self._counts: dict[str, int] = {}

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record metrics at one step.

        Args:
            metrics: Name to number; nested mappings are joined with dots. NaN and infinities are kept.
            step: Counts up by itself from 0 if not given.
        """
        now = time.time()
        try:
            at = self._next_step if step is None else int(step)
            if not -(2**63) <= at < 2**63:
                raise OverflowError("a step is a whole number of 64 bits")
            self._next_step = at + 1
            records = [
                {"t": "metric", "k": name, "v": self._number(name, value), "s": at, "w": now}
                for name, value in self._named(metrics)
            ]
        except Exception as error:
            self.refuse(f"log({_short(metrics)}, step={_short(step)})", error)
            return
        self._write(*(record for record in records if record["v"] is not None))

    def log_artifact(self, path: Any, name: str | None = None) -> None:
        """Record a file or folder as an artifact; it is read when the run ends.

        Args:
            path: Where it lies.
            name: Its name within the run; its own name if not given.
        """
        try:
            full = os.path.abspath(os.fspath(path))
            if not os.path.exists(full):
                raise FileNotFoundError(full)
            self._write({"t": "artifact", "path": full, "name": str(name or os.path.basename(full))})
        except Exception as error:
            self.refuse(f"log_artifact({_short(path)})", error)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Record labels of the run."""
        try:
            self._write(*({"t": "tag", "k": name, "v": str(value)} for name, value in self._named(tags)))
        except Exception as error:
            self.refuse(f"set_tags({_short(tags)})", error)

    def step(self, state: Any = None, *, loss: Any = None, stream: str = "state") -> None:
        """Record one step of a training loop, so that a replay can say where it parts.

        Args:
            state: What the step changed: an array, a tensor, or a mapping or list of them. Digested when due.
            loss: Its exact value is kept.
            stream: One name for each loop.
        """
        try:
            number_of_step = self._counts.get(stream, -1) + 1
            self._counts[stream] = number_of_step
            values = {} if loss is None else {"loss": number(loss)}
            recorder = self._step_recorder()
            if recorder is not None:
                named = None if state is None else (lambda: _as_state(state))
                recorder.step(f"step:{stream}", number_of_step, state=named, values=values)
        except Exception as error:
            self.refuse(f"step(stream={_short(stream)})", error)

    def finish(self, status: str = "finished") -> None:
        """End the run; what is logged afterwards is refused. Calling it again changes nothing."""
        if self._finished or os.getpid() != self._pid:
            return  # a forked worker that ends does not end the run
        self._write({"t": "finish", "status": status, "w": time.time()})
        self._finished = True
        self.config.attach(None)
        if self._on_finish is not None:
            self._on_finish(status)

    def __enter__(self) -> Run:  # noqa: PYI034  (Self is newer than Python 3.9)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish("finished" if kind is None else "failed")

    def record_params(self, given: dict[str, Any]) -> None:
        """Record parameters; `config` calls it for each that is set."""
        try:
            self._write(*({"t": "param", "k": name, "v": plain(value)} for name, value in self._named(given)))
        except Exception as error:
            self.refuse(f"config {_short(given)}", error)

    def _named(self, given: Mapping[str, Any]) -> list[tuple[str, Any]]:
        if not isinstance(given, Mapping):
            raise TypeError(f"{type(given).__name__} is not a mapping of name to value")
        pairs = list(flat(given))
        kept = [(name, value) for name, value in pairs if 0 < len(name) <= LONGEST_NAME]
        if len(kept) < len(pairs):
            self.refuse("a name", ValueError(f"names have 1 to {LONGEST_NAME} characters"))
        return kept

    def _number(self, name: str, value: Any) -> float | str | None:
        try:
            return number_word(number(value))
        except Exception as error:
            self.refuse(f"metric {name}", error)
            return None

    def _step_recorder(self) -> Recorder | None:
        if self._recorder is None:
            self._recorder = current()
        if self._recorder is None and self._spool is not None:
            self._recorder = Recorder(self._spool, Schedule.from_environment())
        return self._recorder

    def _write(self, *records: dict[str, Any]) -> None:
        if self._finished:
            warn_once("relive: the run has ended; what is logged now is not kept.")
        elif self._spool is not None and records:
            self._spool.write(*records)

    def refuse(self, what: str, error: BaseException) -> None:
        """Note in the spool, and once at the terminal, that something could not be recorded."""
        if self._spool is not None and not self._finished:
            self._spool.error(what, error)
        warn_once(f"relive: {what} was not recorded: {type(error).__name__}: {error}")


def _as_state(state: Any) -> Mapping[str, Any]:
    return {name or "0": value for name, value in _parts(state, "", 0)}


def _parts(state: Any, place: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth < 4 and isinstance(state, Mapping):
        for key, value in state.items():
            yield from _parts(value, f"{place}.{key}".lstrip("."), depth + 1)
    elif depth < 4 and isinstance(state, (list, tuple)):
        for index, value in enumerate(state):
            yield from _parts(value, f"{place}.{index}".lstrip("."), depth + 1)
    else:
        yield place, state


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        text = type(value).__name__
    return text if len(text) <= 80 else f"{text[:79]}…"


_warned: set[str] = set()


def warn_once(message: str) -> None:
    """Say something to the person at the terminal, once, and never as an exception."""
    # `warnings` would raise where the user turned warnings into errors.
    if message in _warned or len(_warned) > 100:
        return
    _warned.add(message)
    try:
        print(message, file=sys.stderr)  # noqa: T201
    except (OSError, ValueError, AttributeError):
        pass  # no terminal any more
