"""Let a script name an experiment of MLflow's, and still log to the run that it is.

MLflow's client finds its run by MLFLOW_RUN_ID and refuses to start it after `set_experiment`, which nearly
every script calls: the run is of the experiment that it was begun in. What else the script starts is of the
named one.
"""

from __future__ import annotations

import functools
import os
from typing import Any

from .recorder import Recorder


def watch_runs(fluent: Any, recorder: Recorder) -> None:
    """Have the `start_run` that takes up our run pass over the experiment that was set."""
    start_run = fluent.start_run

    @functools.wraps(start_run)
    def started(*args: Any, **keywords: Any) -> Any:
        own = os.environ.get("RELIVE_RUN_ID")
        is_own = bool(own) and os.environ.get("MLFLOW_RUN_ID") == own
        if not is_own or args or keywords.get("run_id"):
            return start_run(*args, **keywords)
        named = getattr(fluent, "_active_experiment_id", None)
        fluent._active_experiment_id = None
        try:
            return start_run(*args, **keywords)
        finally:
            fluent._active_experiment_id = named

    fluent.start_run = started
