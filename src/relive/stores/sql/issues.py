"""Problems that traces show."""

from typing import Any, Final

from sqlalchemy import ColumnElement, case, func, select, type_coerce

from relive.core.review import Issue, IssueSeverity
from relive.core.search import Comparison, Condition
from relive.ports.review import FoundIssue, Within
from relive.stores.sql.columns import TEXT
from relive.stores.sql.conditions import compare, where
from relive.stores.sql.engine import Database
from relive.stores.sql.labels import inside
from relive.stores.sql.part import StorePart
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.review import issues
from relive.stores.sql.tables.traces import SHOWS_ISSUE, assessments

_FIXED: Final = ("id", "experiment_id", "created_by", "created_at")
_ISSUES: Final = Kept(Issue, issues, "issue", fixed=_FIXED)
_COLUMNS: Final = issues.c
_SEARCHED: Final[dict[str, Any]] = {
    # As text: a filter may ask for a word that is no status.
    "status": type_coerce(_COLUMNS.status, TEXT),
    "source_run_id": _COLUMNS.source_run_id,
}
_RANK: Final = case({word: n for n, word in enumerate(IssueSeverity)}, value=_COLUMNS.severity, else_=-1)
_TRACES: Final = (
    select(func.count(assessments.c.trace_id.distinct()))
    .where(SHOWS_ISSUE, assessments.c.name == _COLUMNS.id)
    .correlate(issues)
    .scalar_subquery()
)


class SqlIssues(StorePart):
    """See `ports.review.IssueStore`."""

    def create_issue(self, issue: Issue) -> Issue:
        at = issue.created_at or self._db.moment()
        with self._db.write() as connection:
            return _ISSUES.insert(connection, issue, created_at=at, updated_at=issue.updated_at or at)

    def get_issue(self, issue_id: str) -> Issue:
        with self._db.read() as connection:
            return _ISSUES.get(connection, issue_id)

    def set_issue(self, issue_id: str, **changes: Any) -> Issue:
        with self._db.write() as connection:
            changed = _ISSUES.change(connection, issue_id, changes)
        assert changed is not None  # without a condition it is changed or not found
        return changed

    def search_issues(
        self,
        within: Within,
        condition: Condition | None = None,
        *,
        count: bool = False,
        offset: int = 0,
        limit: int = 100,
    ) -> list[FoundIssue]:
        counted = [_TRACES.label("traces")] if count else []
        query = select(*_ISSUES.columns, *counted).where(*inside(issues, within))
        if condition is not None:
            query = query.where(where(condition, lambda found: _leaf(self._db, found)))
        most = [each.desc() for each in counted]
        query = query.order_by(_RANK.desc(), *most, _COLUMNS.created_at.desc(), _COLUMNS.id.desc())
        n_fields = len(_ISSUES.columns)
        with self._db.read() as connection:
            rows = connection.execute(query.offset(offset).limit(limit)).all()
        return [FoundIssue(_ISSUES.read(row[:n_fields]), row[n_fields] if count else None) for row in rows]


def _leaf(database: Database, found: Comparison) -> ColumnElement[bool]:
    fits = compare(database, _SEARCHED[found.field.key], found.comparator, found.value)
    # What no run found fits no comparison with a run, nor its opposite.
    return func.coalesce(fits, False)
