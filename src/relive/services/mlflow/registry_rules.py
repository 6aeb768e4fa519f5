"""What MLflow takes as names, tags, aliases and stages of the registry, and what it says otherwise.

Source: mlflow.utils.validation, mlflow.entities.model_registry.model_version_stages.
"""

import posixpath
import re
from collections.abc import Iterable
from typing import Final

from relive.services.mlflow.faults import MlflowFault, invalid, invalid_value, missing_value
from relive.wire.mlflow.registry import Tag

IS_PROMPT: Final = "mlflow.prompt.is_prompt"
PROMPT_TEXT: Final = "mlflow.prompt.text"
PROMPT_TYPE: Final = "_mlflow_prompt_type"
STAGES: Final = ("None", "Staging", "Production", "Archived")
_ACTIVE_STAGES: Final = ["Staging", "Production"]
_LONGEST_KEY: Final = 250
_LONGEST_VALUE: Final = 100_000
_LONGEST_ALIAS: Final = 255
_KEY: Final = re.compile(r"[/\w.\- :]*")
_ALIAS: Final = re.compile(r"[\w\-]*")
_VERSION_ALIAS: Final = re.compile(r"[vV]\d+")
_KEY_CHARACTERS: Final = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:)"
    " and slashes (/)."
)
_ALIAS_CHARACTERS: Final = "Names may only contain alphanumerics, underscores (_), and dashes (-)."


def check_model_name(name: str, field: str = "name") -> None:
    """Refuse what cannot be a model's name.

    Raises:
        MlflowFault: It is empty, holds / or :, or is another path in disguise.
    """
    if not name.strip():
        raise invalid(missing_value(field))
    if "/" in name or ":" in name:
        raise invalid(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
    _check_plain_path("name", name)


def check_key(key: str) -> None:
    """Refuse what cannot be a tag's key.

    Raises:
        MlflowFault: It has characters that keys do not have, or is another path in disguise.
    """
    if not _KEY.fullmatch(key):
        raise invalid(invalid_value("key", key, _KEY_CHARACTERS))
    _check_plain_path("key", key)


def check_tags(tags: Iterable[Tag], *, of_version: bool = False) -> dict[str, str]:
    """Give tags as keys and values, of which the last one counts.

    Raises:
        MlflowFault: A key is none, or a key or a value is too long.
    """
    for tag in tags:
        check_key(tag.key)
        _check_length("key", tag.key, _LONGEST_KEY)
        if of_version and tag.key == PROMPT_TEXT and len(tag.value) > _LONGEST_VALUE:
            raise invalid(f"Prompt text exceeds max length of {_LONGEST_VALUE} characters.")
        _check_length("value", tag.value, _LONGEST_VALUE)
    return {tag.key: tag.value for tag in tags}


def check_alias(alias: str) -> None:
    """Refuse what cannot be an alias.

    Raises:
        MlflowFault: It is empty, too long, or has characters that aliases do not have.
    """
    if not alias:
        raise invalid("Registered model alias name cannot be empty.")
    if not _ALIAS.fullmatch(alias):
        raise invalid(f"Invalid alias name: '{alias}'. {_ALIAS_CHARACTERS}")
    _check_length("Registered model alias name", alias, _LONGEST_ALIAS)


def check_free_alias(alias: str) -> None:
    """Refuse an alias that is reserved; a bare number would be a version's to relive.

    Raises:
        MlflowFault: It is.
    """
    if alias.lower() == "latest":
        raise invalid("'latest' alias name (case insensitive) is reserved.")
    if _VERSION_ALIAS.fullmatch(alias) or alias.isdecimal():
        raise invalid(f"Version alias name '{alias}' is reserved.")


def version_number(version: str) -> int:
    """Read a version's number.

    Raises:
        MlflowFault: It is none.
    """
    try:
        return int(version)
    except ValueError:
        raise invalid(f"Parameter 'version' must be an integer, got '{version}'.") from None


def stage_of(word: str) -> str:
    """Give a stage as MLflow writes it, whatever its case.

    Raises:
        MlflowFault: There is no such stage.
    """
    for stage in STAGES:
        if stage.lower() == word.lower():
            return stage
    raise invalid(f"Invalid Model Version stage: {word}. Value must be one of {', '.join(STAGES)}.")


def check_archiving(stage: str) -> None:
    """Refuse to archive what was in a stage that is not active.

    Raises:
        MlflowFault: It is not.
    """
    if stage_of(stage) not in _ACTIVE_STAGES:
        message = (
            "Model version transition cannot archive existing model versions because "
            f"'{stage}' is not an Active stage. Valid stages are {_ACTIVE_STAGES}"
        )
        raise MlflowFault(error_code="INTERNAL_ERROR", message=message)


def is_prompt(tags: dict[str, str]) -> bool:
    """Tell whether these are the tags of a prompt."""
    return tags.get(IS_PROMPT, "false").lower() == "true"


def _check_plain_path(field: str, name: str) -> None:
    plain = posixpath.normpath(name)
    if plain != name or plain == "." or plain.startswith(("..", "/")):
        hint = (
            "Names may be treated as files in certain cases, and must not resolve to other names"
            f" when treated as such. This name would resolve to {plain!r}"
        )
        raise invalid(invalid_value(field, name, hint))


def _check_length(what: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise invalid(f"'{what}' exceeds the maximum length of {longest} characters")
