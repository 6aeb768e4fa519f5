"""What queues, their users and their items may be called, as MLflow has it.

Source: mlflow.genai.review_queues.validation, mlflow.genai.review_queues.review_queues.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from relive.core.review import QueueKind, ReviewStatus
from relive.services.mlflow.faults import invalid

T = TypeVar("T")

_LONGEST_NAME: Final = 250
_LONGEST_SCHEMA_ID: Final = 36
_LONGEST_ITEM_ID: Final = 50
_MOST_USERS: Final = 10
_MOST_DIGITS: Final = 19
# The queue of whoever has no name.
_RESERVED: Final = "default"
_KINDS: Final = (None, QueueKind.USER, QueueKind.CUSTOM)
_STATUSES: Final = (None, ReviewStatus.PENDING, ReviewStatus.COMPLETE, ReviewStatus.DECLINED)


def kind_of(said: str | int) -> QueueKind:
    """Read what kind of queue is meant, by its name or its number.

    Raises:
        MlflowFault: It is none.
    """
    found = _word(said, {kind.name: kind for kind in QueueKind}, _KINDS)
    if found is None:
        raise invalid("`queue_type` must be one of USER or CUSTOM; got proto enum value 0.")
    return found


def status_of(said: str | int) -> ReviewStatus:
    """Read a status, by its name or its number; raises as `kind_of`."""
    found = _word(said, {status.name: status for status in ReviewStatus}, _STATUSES)
    if found is None:
        raise invalid("`status` must be one of PENDING, COMPLETE, or DECLINED; got proto enum value 0.")
    return found


def check_item_type(said: str | int) -> None:
    """Refuse items that are no traces; not to say what they are is to say that they are.

    Raises:
        MlflowFault: They are something else.
    """
    if str(said) not in ("", "0", "1", "TRACE", "REVIEW_ITEM_TYPE_UNSPECIFIED"):
        raise invalid(f"`item_type` must be TRACE; got {said!r}.")


def custom_name(said: str) -> str:
    """Give the name of a queue made for a purpose, without spaces around it.

    Raises:
        MlflowFault: It is none, too long, or kept for another.
    """
    name = said.strip()
    _check_length(name, "name", _LONGEST_NAME)
    if name.lower() == _RESERVED:
        raise invalid(f"`{name}` is a reserved queue name and cannot be used for a custom queue.")
    return name


def user_name(said: str, field: str = "user") -> str:
    """Give a user's name in small letters, in which they are compared; raises as `custom_name`."""
    name = said.strip().lower()
    _check_length(name, field, _LONGEST_NAME)
    return name


def owner_name(said: str) -> str:
    """Give the name of a queue's owner, as it was written; raises as `custom_name`."""
    name = said.strip()
    _check_length(name, "new_owner", _LONGEST_NAME)
    return name


def user_names(said: Sequence[str]) -> tuple[str, ...]:
    """Give users' names, each once; raises as `custom_name`, and if there are too many."""
    names = _each_once(said, user_name)
    if len(names) > _MOST_USERS:
        most = f"A review queue can have at most {_MOST_USERS} assigned users"
        raise invalid(f"{most}; got {len(names)}.")
    return names


def users_of_user_queue(name: str, said: Sequence[str], schema_ids: Sequence[str]) -> tuple[str, ...]:
    """Give the one user of a user's own queue.

    Raises:
        MlflowFault: Others are named, or questions, of which it asks all.
    """
    users = user_names(said)
    if users not in ((), (name,)):
        raise invalid(
            "A user queue must have exactly one assigned user equal to its name; "
            f"got name={name!r} and users={list(users)!r}."
        )
    if schema_ids:
        raise invalid(
            "A user queue cannot have explicitly-attached schemas; it resolves to all of the experiment's "
            "label schemas."
        )
    return (name,)


def schema_ids_of(said: Sequence[str]) -> tuple[str, ...]:
    """Give questions' ids, each once; raises as `custom_name`."""

    def schema_id(text: str) -> str:
        _check_length(text.strip(), "schema_id", _LONGEST_SCHEMA_ID)
        return text.strip()

    return _each_once(said, schema_id)


def item_ids_of(said: Sequence[str]) -> tuple[str, ...]:
    """Give items' ids, each once.

    Raises:
        MlflowFault: There are none, or one can be none.
    """
    if not said:
        raise invalid(f"`item_ids` must be a non-empty list; got {list(said)!r}.")

    def item_id(text: str) -> str:
        _check_length(text.strip(), "item_id", _LONGEST_ITEM_ID)
        return text.strip()

    return _each_once(said, item_id)


def completed_by_of(said: str | None, status: ReviewStatus) -> str:
    """Give who looked at an item: someone, or nobody if it is to be looked at again.

    Raises:
        MlflowFault: It is nobody, or too long a name, or someone where nobody did.
    """
    name = (said or "").strip().lower()
    if status is ReviewStatus.PENDING:
        if said is not None:
            raise invalid("`completed_by` must not be set when reopening an item to `pending`.")
    elif not name:
        raise invalid(f"`completed_by` is required when setting status to `{status}`.")
    if len(name) > _LONGEST_NAME:
        raise invalid(f"`completed_by` must be at most {_LONGEST_NAME} characters; got {len(name)}.")
    return name


def _word(said: str | int, named: Mapping[str, T], numbered: Sequence[T | None]) -> T | None:
    """Give what a name or a number stands for; in a query a number is text."""
    if isinstance(said, str):
        if not said.isdecimal():
            return named.get(said)
        # Python refuses to read the longest.
        said = int(said) if len(said) < _MOST_DIGITS else -1
    return numbered[said] if 0 <= said < len(numbered) else None


def _each_once(said: Sequence[str], read: Callable[[str], str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(read(text) for text in said))


def _check_length(text: str, field: str, longest: int) -> None:
    if not text:
        raise invalid(f"`{field}` must be a non-empty string; got {text!r}.")
    if len(text) > longest:
        raise invalid(f"`{field}` must be at most {longest} characters; got {len(text)}.")
