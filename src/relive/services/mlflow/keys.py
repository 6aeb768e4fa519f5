"""What MLflow lets metrics, params and tags be called, and how long they may be."""

import posixpath
import re
from functools import lru_cache
from typing import Final

from relive.services.mlflow.faults import invalid, invalid_value

LONGEST_KEY: Final = 250
LONGEST_PARAM: Final = 6000
LONGEST_TAG: Final = 8000
LONGEST_EXPERIMENT_NAME: Final = 500
LONGEST_EXPERIMENT_TAG: Final = 20000

_RUN_ID: Final = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}")
_KEY: Final = re.compile(r"[/\w.\- :]*")
_CHARACTERS: Final = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:)"
    " and slashes (/)."
)


def check_key(key: str, path: str) -> None:
    """Refuse a name that cannot be one; `path` says where it stands in the message.

    Raises:
        MlflowFault: It has other characters, or would be another name as the name of a file.
    """
    if fault := _fault_of(key):
        raise invalid(invalid_value(path, key, fault))


def is_bad(key: str) -> bool:
    """Tell whether a metric cannot be called so."""
    return len(key) > LONGEST_KEY or bool(_fault_of(key))


def check_run_id(run_id: str) -> None:
    """Refuse what can be no run's id.

    Raises:
        MlflowFault: It has other characters, or too many.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise invalid(invalid_value("run_id", run_id))


def check_length(what: str, limit: int, value: str) -> None:
    """Refuse a text of more characters.

    Raises:
        MlflowFault: It is longer.
    """
    if len(value) > limit:
        raise invalid(f"'{what}' exceeds the maximum length of {limit} characters")


@lru_cache(maxsize=4096)
def _fault_of(key: str) -> str:
    if not _KEY.fullmatch(key):
        return _CHARACTERS
    as_file = posixpath.normpath(key)
    if as_file != key or as_file == "." or as_file.startswith(("..", "/")):
        return (
            "Names may be treated as files in certain cases, and must not resolve to other names"
            f" when treated as such. This name would resolve to {as_file!r}"
        )
    return ""
