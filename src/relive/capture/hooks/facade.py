"""What a training script says to relive: `init`, `log`, `step`, `finish`, `config`, `summary` and more.

Here it only appends to the spool: it opens no connection, waits for nothing and raises nothing into the
training. `relive.client.run` puts a hub behind the same `Run`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from .ranks import rank_prefix
from .recorder import current
from .run import Config, Run, warn_once
from .spool import SPOOL_DIR, Spool
from .values import text

if TYPE_CHECKING:
    from typing_extensions import TypedDict, Unpack

    class MoreOptions(TypedDict, total=False):
        """What `init` takes by name; see there."""

        tags: Any
        experiment: str | None
        mode: str | None
        resume: str | None
        system_metrics_s: float
        console: bool


__all__ = ["Config", "Options", "Run", "config", "finish", "init", "log", "log_artifact", "step", "summary"]


class Options(NamedTuple):
    """How a run is opened.

    Attributes:
        mode: "online", "offline" or "disabled"; empty for the setting.
        resume: Id of the run to go on with; empty for a new one.
        system_metrics_s: Seconds between two looks at the machine; 0 for none, negative for the setting.
        console: Whether what is printed is kept.
    """

    project: str = ""
    name: str = ""
    experiment: str = ""
    mode: str = ""
    resume: str = ""
    system_metrics_s: float = -1.0
    console: bool = True


Begin = Callable[[Options], Run]


def init(
    project: str | None = None, config: Any = None, name: str | None = None, **options: Unpack[MoreOptions]
) -> Run:
    """Open this process's run, or give the one that is open.

    Args:
        project: Where the run belongs; a run started by relive has its project already.
        config: Parameters: a mapping, a dataclass or an `argparse.Namespace`.
        name: What people call it.
        options: `tags`: labels, a list of words or a mapping. `experiment`: its name. `mode`: "online",
            "offline" (`relive sync` sends it later) or "disabled". `resume`: id of the run to go on with.
            `system_metrics_s`: seconds between two looks at the machine, 0 for none. `console`: whether
            what is printed is kept.
    """
    return face.init(project, config, name, **options)


def log(metrics: Mapping[str, Any], step: int | None = None) -> None:
    """Record metrics of the open run at one step; `Run.log`."""
    face.run().log(metrics, step)


def log_artifact(path: Any, name: str | None = None) -> None:
    """Record a file or folder as an artifact of the open run; `Run.log_artifact`."""
    face.run().log_artifact(path, name)


def step(state: Any = None, *, loss: Any = None, stream: str = "state") -> None:
    """Record one step of a training loop; `Run.step`."""
    face.run().step(state, loss=loss, stream=stream)


def finish() -> None:
    """End the open run; the next `init` opens another."""
    face.finish()


class Face:
    """The one open run behind the module's functions.

    Attributes:
        begin: Makes a run.
    """

    def __init__(self, begin: Begin) -> None:
        self.begin = begin
        self.config = Config()
        self.summary = Config()
        self._run: Run | None = None

    def run(self) -> Run:
        """Give the open run; opens one if there is none."""
        return self._run or self.init(None, None, None)

    def init(self, project: str | None, config: Any, name: str | None, **more: Any) -> Run:
        """Open the run if none is open, and add to its parameters and tags."""
        tags = more.pop("tags", None)
        run = self._run
        if run is None:
            run = self._run = self.begin(_options({"project": project, "name": name, **more}))
            # One config from before `init` to the end, whoever holds it.
            before = dict(self.config)
            run.config = self.config
            self.config.attach(run.record_params)
            if before:
                self.config.update(before)
            self.summary.attach(run.record_summary)
            run.summary = self.summary
        try:
            if config is not None:
                run.config.update(config)
        except Exception as error:
            run.refuse("config", error)
        if tags:
            run.set_tags(tags)
        return run

    def finish(self, status: str = "finished") -> None:
        """End the open run, if there is one."""
        run, self._run = self._run, None
        if run is not None:
            run.finish(status)
            self.config.clear()
            self.summary.clear()


def _options(given: Mapping[str, Any]) -> Options:
    """Read what was asked for; what is none of ours, as from another library's `init`, is said once."""
    known: dict[str, Any] = {}
    for key, value in given.items():
        if value is None:
            continue
        if key not in Options._fields:
            warn_once(f"relive: init has no {key!r}; it is passed over.")
            continue
        try:
            kind = type(Options._field_defaults[key])
            known[key] = text(value) if kind is str else kind(value)
        except (TypeError, ValueError):
            warn_once(f"relive: init cannot take {value!r:.80} for {key!r}; it is passed over.")
    return Options(**known)


def begin_in_runner(options: Options) -> Run:
    """Open the run that a runner listens to: it appends to the spool that RELIVE_SPOOL_DIR names."""
    folder = os.environ.get(SPOOL_DIR)
    if not folder:
        warn_once("relive: no run listens here (RELIVE_SPOOL_DIR is not set); what is logged is not kept.")
        return Run(None, name=options.name)
    recorder = current()
    spool = recorder.spool if recorder is not None else Spool(folder)
    run = Run(spool, name=options.name, prefix=rank_prefix())
    tags = {"name": options.name, "project": options.project, "experiment": options.experiment}
    run.set_tags({f"relive.{key}": value for key, value in tags.items() if value})
    return run


face = Face(begin_in_runner)
config = face.config
summary = face.summary
