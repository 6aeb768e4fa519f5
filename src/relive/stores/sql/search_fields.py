"""One comparison of a run's field as SQL, never NULL, so that NOT turns it round.

What a run has many of (metrics, params, tags, data sets) is looked up by EXISTS: the run fits if one does.
"""

import math
from collections.abc import Callable
from typing import Any, Final

import msgspec
from sqlalchemy import (
    Boolean,
    ColumnElement,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
    type_coerce,
)

from relive.core.digest import canonical_json
from relive.core.run import RunKind, RunStatus
from relive.core.search import Comparison, Side
from relive.errors import InvalidInput
from relive.stores.sql.columns import TEXT
from relive.stores.sql.conditions import compare
from relive.stores.sql.engine import Database
from relive.stores.sql.shown import Shown
from relive.stores.sql.tables.hub import experiments
from relive.stores.sql.tables.runs import metric_series, params, runs, tags
from relive.stores.sql.tables.tracking import logged_datasets, run_datasets

STARTED: Final = func.coalesce(runs.c.started_at, runs.c.created_at)
"""When a run began; one that has not begun yet stands where it was made."""

CONTEXT_TAG: Final = "mlflow.data.context"
_RUN_NAME: Final = "mlflow.runName"
_USER: Final = "mlflow.user"
_UNKNOWN_USER: Final = "unknown"
# Who MLflow's clients say it was, else who made it; of what such a client made only the client knows.
_its_tag = select(tags.c.value).where(tags.c.run_id == runs.c.id, tags.c.key == _USER)
_ACTOR: Final = func.coalesce(
    _its_tag.scalar_subquery(), case((runs.c.kind != RunKind.CLIENT, runs.c.actor), else_=None)
)
SHOWN_TAGS: Final[dict[str, Any]] = {_RUN_NAME: runs.c.name, _USER: type_coerce(_ACTOR, TEXT)}
"""Tags that MLflow's clients see without anybody having set them."""
_LOCATION: Final = (
    select(
        func.coalesce(
            experiments.c.artifact_location, literal("mlflow-artifacts:/", TEXT).concat(experiments.c.id)
        )
    )
    .where(experiments.c.id == runs.c.experiment_id)
    .scalar_subquery()
)
# As MLflow's clients see them.
_STATUSES: Final = {status: status.value.upper() for status in RunStatus} | {RunStatus.LOST: "FAILED"}
PYTHON_WORDS: Final = {"True": "true", "False": "false", "None": "null"}
"""Words that a param may be asked for by, and what it shows."""

TEXTS: Final = {
    "run_id": runs.c.id,
    "id": runs.c.id,
    "run_name": runs.c.name,
    "name": runs.c.name,
    "user_id": type_coerce(func.coalesce(_ACTOR, literal(_UNKNOWN_USER, TEXT)), TEXT),
    "actor": runs.c.actor,
    "kind": type_coerce(runs.c.kind, TEXT),
    "stage": runs.c.stage,
    "commit": runs.c.commit,
    "command": runs.c.command,
    "recipe": runs.c.recipe_digest,
    "artifact_uri": type_coerce(_LOCATION, TEXT).concat("/").concat(runs.c.id).concat("/artifacts"),
}
TIMES: Final = {
    "start_time": STARTED,
    "end_time": runs.c.ended_at,
    "created_at": runs.c.created_at,
    "started_at": runs.c.started_at,
    "ended_at": runs.c.ended_at,
}


class RunFields:
    """Comparisons of runs, for one database."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.is_sqlite = database.is_sqlite

    def leaf(self, found: Comparison) -> ColumnElement[bool]:
        """Give a comparison as a condition on `runs`."""
        sides: dict[Side, Callable[[Comparison], ColumnElement[bool]]] = {
            Side.ATTRIBUTE: self._attribute,
            Side.METRIC: self._metric,
            Side.PARAM: self._param,
            Side.TAG: self._tag,
            Side.DATASET: self._dataset,
        }
        return sides[found.field.side](found)

    def last_value(self, column: Any, found: Comparison) -> ColumnElement[bool]:
        """Compare a metric's last value, NULL for NaN, which differs from every number."""
        fits = compare(self._db, column, found.comparator, found.value)
        return or_(column.is_(None), fits) if found.comparator == "!=" else and_(column.is_not(None), fits)

    def compare(self, column: Any, found: Comparison) -> ColumnElement[bool]:
        """Compare a column that is never NULL."""
        return compare(self._db, column, found.comparator, found.value)

    def _attribute(self, found: Comparison) -> ColumnElement[bool]:
        key = found.field.key
        if key in ("status", "state"):
            return _status(found, own_words=key == "state")
        if key == "experiment":
            its_name = self.compare(experiments.c.name, found)
            return exists().where(experiments.c.id == runs.c.experiment_id, its_name)
        if key in TEXTS:
            return self.compare(TEXTS[key], found)
        column = TIMES[key]
        is_for_clients = key in ("start_time", "end_time")
        fits = in_milliseconds(column, found) if is_for_clients else self.compare(column, found)
        return and_(column.is_not(None), fits)

    def _metric(self, found: Comparison) -> ColumnElement[bool]:
        series = metric_series.c
        fits = self.last_value(series.last, found)
        return exists().where(series.run_id == runs.c.id, series.key == found.field.key, fits)

    def _param(self, found: Comparison) -> ColumnElement[bool]:
        here = and_(params.c.run_id == runs.c.id, params.c.key == found.field.key)
        if found.comparator in ("=", "!="):
            texts = param_texts(str(found.value))
            fits = params.c.value.in_(texts)
            return exists().where(here, fits if found.comparator == "=" else ~fits)
        return self._pair(here, Shown(params.c.value), found)

    def _tag(self, found: Comparison) -> ColumnElement[bool]:
        shown = SHOWN_TAGS.get(found.field.key)
        if shown is None:
            here = and_(tags.c.run_id == runs.c.id, tags.c.key == found.field.key)
            return self._pair(here, tags.c.value, found)
        if found.comparator == "IS NULL":
            return type_coerce(shown.is_(None), Boolean)
        is_there = shown.is_not(None)
        return is_there if found.comparator == "IS NOT NULL" else and_(is_there, self.compare(shown, found))

    def _pair(self, here: ColumnElement[bool], value: Any, found: Comparison) -> ColumnElement[bool]:
        if found.comparator == "IS NULL":
            return ~exists().where(here)
        if found.comparator == "IS NOT NULL":
            return exists().where(here)
        return exists().where(here, self.compare(value, found))

    def _dataset(self, found: Comparison) -> ColumnElement[bool]:
        joined = select(run_datasets.c.run_id).join_from(run_datasets, logged_datasets)
        here = joined.where(run_datasets.c.run_id == runs.c.id)
        if found.field.key == "context":
            context = self._context()
            return here.where(context.is_not(None), self.compare(context, found)).exists()
        return here.where(self.compare(logged_datasets.c[found.field.key], found)).exists()

    def _context(self) -> Any:
        """Give what a data set was to a run: one of its tags."""
        kept = type_coerce(run_datasets.c.tags, TEXT)
        if self._db.is_sqlite:
            return type_coerce(func.json_extract(kept, f'$."{CONTEXT_TAG}"'), TEXT)
        from sqlalchemy.dialects.postgresql import JSONB  # the engine has imported it already

        return type_coerce(cast(kept, JSONB).op("->>")(CONTEXT_TAG), TEXT).collate("C")


def param_texts(value: str) -> list[str]:
    """Give every JSON text that a param shown as this text may be kept as."""
    texts = [canonical_json(value).decode()]
    plain = PYTHON_WORDS.get(value, value)
    try:
        read = msgspec.json.decode(plain)
        if not isinstance(read, str) and canonical_json(read).decode() == plain:
            texts.append(plain)
    except (msgspec.DecodeError, InvalidInput, RecursionError, UnicodeError):
        return texts
    return texts


def statuses_that_fit(found: Comparison, *, own_words: bool) -> list[RunStatus]:
    """Give the statuses whose name fits, in MLflow's words or also in ours."""
    names = {status: {word} | ({status.value} if own_words else set()) for status, word in _STATUSES.items()}
    if found.comparator in ("!=", "NOT IN"):
        other = {"!=": "=", "NOT IN": "IN"}[found.comparator]
        return [it for it, of in names.items() if not any(_fits(name, other, found.value) for name in of)]
    return [it for it, of in names.items() if any(_fits(name, found.comparator, found.value) for name in of)]


def _status(found: Comparison, *, own_words: bool) -> ColumnElement[bool]:
    return runs.c.status.in_(statuses_that_fit(found, own_words=own_words))


def _fits(name: str, comparator: str, value: Any) -> bool:
    if comparator == "=":
        return bool(name == value)
    if comparator == "IN":
        return name in value
    folded = comparator == "ILIKE"
    return _is_like(name.lower() if folded else name, str(value).lower() if folded else str(value))


def _is_like(name: str, pattern: str) -> bool:
    """Match a short word with a pattern of LIKE, in steps that only grow with their lengths."""
    places = {0}
    for letter in pattern:
        if letter == "%":
            places = set(range(min(places), len(name) + 1)) if places else places
        else:
            places = {at + 1 for at in places if at < len(name) and letter in ("_", name[at])}
    return len(name) in places


def in_milliseconds(column: Any, found: Comparison) -> ColumnElement[bool]:
    """Compare a time in seconds with whole milliseconds, to which clients see it rounded."""
    value, comparator = found.value, found.comparator
    assert isinstance(value, int | float)
    if math.isinf(value):
        return true() if comparator in (("<", "<=", "!=") if value > 0 else (">", ">=", "!=")) else false()
    floor, ceiling = math.floor(value), math.ceil(value)
    if comparator in ("=", "!=") and floor != ceiling:
        return true() if comparator == "!=" else false()
    # From where on the rounded time is this one or later.
    from_floor, from_ceiling = (floor - 0.5) / 1000, (ceiling - 0.5) / 1000
    behind_floor = (floor + 0.5) / 1000
    ways: dict[str, Callable[[], ColumnElement[bool]]] = {
        ">=": lambda: column >= from_ceiling,
        ">": lambda: column >= behind_floor,
        "<": lambda: column < from_ceiling,
        "<=": lambda: column < behind_floor,
        "=": lambda: and_(column >= from_floor, column < behind_floor),
        "!=": lambda: or_(column < from_floor, column >= behind_floor),
    }
    return ways[comparator]()
