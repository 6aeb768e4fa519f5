"""What a training script says to relive: `init`, `log`, `log_artifact`, `step`, `finish`, `config`.

Here it only appends to the spool: it opens no connection, waits for nothing and raises nothing into the
training. `relive.client.run` puts a hub behind the same `Run`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Callable

from .recorder import current
from .run import Config, Run, warn_once
from .spool import SPOOL_DIR, Spool

__all__ = ["Config", "Run", "config", "finish", "init", "log", "log_artifact", "step"]

Begin = Callable[[str, str], Run]


def init(project: str | None = None, config: Any = None, name: str | None = None) -> Run:
    """Open this process's run, or give the one that is open.

    Args:
        project: Where the run belongs; a run started by relive has its project already.
        config: Parameters: a mapping, a dataclass or an `argparse.Namespace`.
        name: What people call it.
    """
    return face.init(project, config, name)


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
        begin: Makes a run of (project, name).
    """

    def __init__(self, begin: Begin) -> None:
        self.begin = begin
        self.config = Config()
        self._run: Run | None = None

    def run(self) -> Run:
        """Give the open run; opens one if there is none."""
        return self._run or self.init(None, None, None)

    def init(self, project: str | None, config: Any, name: str | None) -> Run:
        """Open the run if none is open, and add to its parameters."""
        run = self._run
        if run is None:
            run = self._run = self.begin(str(project or ""), str(name or ""))
            # One config from before `init` to the end, whoever holds it.
            before = dict(self.config)
            run.config = self.config
            self.config.attach(run.record_params)
            if before:
                self.config.update(before)
        try:
            if config is not None:
                run.config.update(config)
        except Exception as error:
            run.refuse("config", error)
        return run

    def finish(self, status: str = "finished") -> None:
        """End the open run, if there is one."""
        run, self._run = self._run, None
        if run is not None:
            run.finish(status)
            self.config.clear()


def begin_in_runner(project: str, name: str) -> Run:
    """Open the run that a runner listens to: it appends to the spool that RELIVE_SPOOL_DIR names."""
    folder = os.environ.get(SPOOL_DIR)
    if not folder:
        warn_once("relive: no run listens here (RELIVE_SPOOL_DIR is not set); what is logged is not kept.")
        return Run(None, name=name)
    recorder = current()
    run = Run(recorder.spool if recorder is not None else Spool(folder), name=name)
    tags = {"name": name, "project": project}
    run.set_tags({f"relive.{key}": value for key, value in tags.items() if value})
    return run


face = Face(begin_in_runner)
config = face.config
