"""The open run of a script: its metrics, media, parameters, tags, artifacts, steps, as a spool."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Callable

from .drill import Drill
from .media import MediaFolder, as_media
from .points import Points
from .recorder import Recorder, current
from .schedule import Schedule
from .spool import Spool
from .values import LONGEST_NAME, as_mapping, flat, is_name, number, number_word, plain, text


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
        prefix: Put before the names of metrics, as "rank1/".
        is_whole: Whether the run ends with this process; not, if it is another's.
        on_finish: Called once with the status when the run ends.

    Attributes:
        id: The run's id, empty if only the runner or the hub knows it.
        config: Its parameters; those set later are recorded too.
        summary: What the run has come to: a text becomes a tag, anything else is logged at the last step.
    """

    def __init__(
        self,
        spool: Spool | None,
        *,
        run_id: str = "",
        name: str = "",
        prefix: str = "",
        is_whole: bool = True,
        on_finish: Callable[[str], None] | None = None,
    ) -> None:
        self.id = run_id
        self.name = name
        self.config = Config()
        self.config.attach(self.record_params)
        self.summary = Config()
        self.summary.attach(self.record_summary)
        self._spool = spool
        self._prefix = prefix
        self._points = None if spool is None else Points(spool.folder, prefix, begin=spool.open)
        self._append = _refuse if self._points is None else self._points.append
        self._media = None if spool is None else MediaFolder(spool.folder)
        self.on_finish = on_finish
        self._is_whole = is_whole
        self._pid = os.getpid()
        self._next_step = 0
        self._finished = False
        self._recorder: Recorder | None = None
        self._counts: dict[str, int] = {}

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record metrics and media at one step.

        Args:
            metrics: Name to number, or to an image, table, figure and the like; nested mappings are joined
                with slashes. NaN and infinities are kept.
            step: Counts up by itself from 0 if not given.
        """
        at = self._next_step if step is None else step
        if type(at) is int and self._append(metrics, at):
            self._next_step = at + 1
        else:
            self._log_slowly(metrics, step)

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

    def set_tags(self, tags: Any) -> None:
        """Record labels of the run: a mapping of name to text, or words, whose text is "true"."""
        try:
            if isinstance(tags, str):
                tags = [tags]
            if isinstance(tags, (list, tuple, set, frozenset)):
                tags = {str(word): "true" for word in tags}
            self._write(*({"t": "tag", "k": name, "v": text(value)} for name, value in self._named(tags)))
        except Exception as error:
            self.refuse(f"set_tags({_short(tags)})", error)

    def use_dataset(self, ref: str) -> Any:
        """Open a version of a data set to be read, such as `sales@v3`, and record that this run reads it.

        Raises:
            RuntimeError: relive itself is not installed here.
            ReliveError: There is no such version, or no hub.
        """
        if open_dataset is None:
            raise RuntimeError("run.use_dataset needs relive itself: pip install relive")
        found, tags = open_dataset(ref)
        self.set_tags(tags)
        return found

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
        if self._points is not None:
            self._points.close()
        self._append = _refuse
        if self._is_whole:
            self._write({"t": "finish", "status": status, "w": time.time()})
        self._finished = True
        self.config.attach(None)
        self.summary.attach(None)
        self._say_lost()
        if self.on_finish is not None:
            self.on_finish(status)

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

    def _log_slowly(self, metrics: Mapping[str, Any], step: int | None) -> None:
        """Record what is more than a flat mapping of numbers, or what cannot go into a segment now."""
        if self._spool is None or self._finished:
            self._write()
            return
        now = time.time()
        try:
            at = self._next_step if step is None else int(step)
            if not -(2**63) <= at < 2**63:
                raise OverflowError("a step is a whole number of 64 bits")
            self._next_step = at + 1
            numbers = {}
            for name, value in self._named(metrics, "/"):
                media = as_media(value)
                if media:
                    self._record_media(name, at, media)
                    continue
                figure = self._number(name, value)
                if figure is not None:
                    numbers[name] = figure
            if not self._append(numbers, at):
                self._write(*(_metric(self._prefix + name, it, at, now) for name, it in numbers.items()))
        except Exception as error:
            self.refuse(f"log({_short(metrics)}, step={_short(step)})", error)

    def _record_media(self, name: str, step: int, media: list[Any]) -> None:
        try:
            if self._media is not None:
                self._write(*self._media.add(self._prefix + name, step, media))
        except Exception as error:
            self.refuse(f"media {name}", error)

    def record_summary(self, given: dict[str, Any]) -> None:
        """Record what the run has come to; `summary` calls it for each that is set."""
        last = max(0, self._next_step - 1)
        for name, value in flat(given, separator="/"):
            if isinstance(value, str) or value is None:
                self.set_tags({name: value})
            else:
                self.log({name: value}, step=last)

    def _named(self, given: Mapping[str, Any], separator: str = ".") -> list[tuple[str, Any]]:
        if not isinstance(given, Mapping):
            raise TypeError(f"{type(given).__name__} is not a mapping of name to value")
        pairs = list(flat(given, separator=separator))
        kept = [(name, value) for name, value in pairs if is_name(name, self._prefix)]
        if len(kept) < len(pairs):
            self.refuse("a name", ValueError(f"names have 1 to {LONGEST_NAME} characters, none of them NUL"))
        return kept

    def _number(self, name: str, value: Any) -> float | None:
        try:
            return number(value)
        except Exception as error:
            self.refuse(f"metric {name}", error)
            return None

    def _step_recorder(self) -> Recorder | None:
        if self._recorder is None:
            self._recorder = current()
        if self._recorder is None and self._spool is not None:
            self._recorder = Recorder(
                self._spool, Schedule.from_environment(), Drill.from_environment(self._spool.folder)
            )
        return self._recorder

    def _write(self, *records: dict[str, Any]) -> None:
        if self._finished:
            warn_once("relive: the run has ended; what is logged now is not kept.")
        elif self._spool is not None and records:
            self._spool.write(*records)
            if self._spool.lost:
                warn_once(
                    f"relive: the disk takes no more of this run ({self._spool.why}); what cannot be written "
                    "is counted, and the training goes on."
                )

    def _say_lost(self) -> None:
        if self._spool is not None and self._spool.lost_in_all:
            warn_once(f"relive: {self._spool.lost_in_all} records of this run could not be written.")

    def refuse(self, what: str, error: BaseException) -> None:
        """Note in the spool, and once at the terminal, that something could not be recorded."""
        if self._spool is not None and not self._finished:
            self._spool.error(what, error)
        warn_once(f"relive: {what} was not recorded: {type(error).__name__}: {error}")


def _refuse(metrics: Any, step: Any) -> bool:
    """Stand for `Points.append` where nothing is appended."""
    return False


def _metric(name: str, value: float, step: int, now: float) -> dict[str, Any]:
    return {"t": "metric", "k": name, "v": number_word(value), "s": step, "w": now}


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


# Opens a data set by its name, and says by which tags a run records it; set where relive itself is installed.
open_dataset: Callable[[str], tuple[Any, dict[str, str]]] | None = None

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
