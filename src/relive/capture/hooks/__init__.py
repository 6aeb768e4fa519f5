"""Modules that run inside a user's interpreter: standard library only, Python 3.9 and newer.

The runner copies them into an agent folder as the package `relive_hooks` (`relive.capture.agent`). They
import one another by relative names and nothing of relive, and never let an error reach the user's program.
"""

from __future__ import annotations

# In the agent folder, the package `relive_hooks`. `sitecustomize.py` goes into the boot folder instead.
AGENT_FILES = (
    "__init__.py",
    "asking.py",
    "checkpoints.py",
    "digests.py",
    "drill.py",
    "facade.py",
    "media.py",
    "on_catboost.py",
    "on_gensim.py",
    "on_import.py",
    "on_jax.py",
    "on_keras.py",
    "on_lightgbm.py",
    "on_mlflow.py",
    "on_parsers.py",
    "on_sklearn.py",
    "on_torch.py",
    "on_torch_ops.py",
    "on_torch_random.py",
    "on_torch_skips.py",
    "on_torch_states.py",
    "on_xgboost.py",
    "pictures.py",
    "points.py",
    "ranks.py",
    "recorder.py",
    "report.py",
    "run.py",
    "schedule.py",
    "spool.py",
    "values.py",
)
BOOT_FILE = "sitecustomize.py"
