"""Search for runs and experiments.

Two ways lead to a page of runs: through a filter (take the few runs that an index names, sort them), or
through the order (follow an index in the order of the page and look at each run). Counting in indexes, up to
a limit, tells which is the shorter; see docs/design/stores.md.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, select

from relive.core.search import Comparison, Condition, Field, Order, Side, conjuncts
from relive.ports.search import RunPage, Search, View
from relive.stores.sql.conditions import where
from relive.stores.sql.keyset import Place, behind, read_token, write_token
from relive.stores.sql.part import StorePart
from relive.stores.sql.run_pages import has_words
from relive.stores.sql.runs import RUNS
from relive.stores.sql.search_candidates import candidates
from relive.stores.sql.search_fields import RunFields
from relive.stores.sql.search_orders import Part, Term, sorted_part, term_of, walked_parts
from relive.stores.sql.tables.runs import runs

# So many rows are sorted faster than an order is followed in the hope of meeting them.
FEW: Final = 2000

_ID: Final = Order(Field(Side.ATTRIBUTE, "run_id"))
_START: Final = "start_time"
# What an index has in its order: of one experiment, of a project, of everything.
_ORDERED: Final = {
    "experiment": {_START, "created_at"},
    "experiments": {_START},
    "project": {_START, "created_at", "name", "run_name", "started_at", "ended_at", "state", "status"},
    "hub": {_START, "created_at", "state", "status"},
}


class SqlSearch(StorePart):
    """See `ports.search.SearchStore`."""

    def search_runs(self, search: Search) -> RunPage:
        with self._db.read(snapshot=True) as connection:
            return _RunSearch(connection, RunFields(self._db), search).page()


class _RunSearch:
    """One search: what it is, and how its page is found."""

    def __init__(self, connection: Connection, fields: RunFields, search: Search) -> None:
        self.connection = connection
        self.fields = fields
        self.search = search
        self.wanted = conjuncts(search.condition)
        self.orders = _complete(search.orders)
        self.terms = [term_of(order) for order in self.orders]

    def page(self) -> RunPage:
        order, keys = ", ".join(map(_called, self.orders)), sorted_part(self.terms).keys
        place = read_token(order, self.search.after, keys)
        rows = self._rows(place)
        n_fields, limit = len(RUNS.columns), self.search.limit
        found = tuple(RUNS.read(row[:n_fields]) for row, _ in rows[:limit])
        if len(rows) <= limit or not found:
            return RunPage(found)
        last, part = rows[limit - 1]
        return RunPage(found, write_token(order, (*part.before, *last[n_fields:])))

    def _rows(self, place: Place | None) -> list[tuple[Any, Part]]:
        """Give one row more than the page has, if there is one, each with its part."""
        parts, conditions = self._plan()
        rows: list[tuple[Any, Part]] = []
        for part in parts:
            rest = place
            if place is not None and part.before:
                # The first key tells parts apart: those in front of the place's are on earlier pages.
                if part.before[0] < place[0]:
                    continue
                rest = place[len(part.before) :] if part.before[0] == place[0] else None
            query = self._select(part, conditions, rest)
            query = query.limit(self.search.limit + 1 - len(rows))
            rows += [(row, part) for row in self.connection.execute(query)]
            if len(rows) > self.search.limit:
                break
        return rows

    def _select(
        self, part: Part, conditions: Sequence[ColumnElement[bool]], place: Sequence[Any] | None
    ) -> Select[Any]:
        query = select(*RUNS.columns, *(key.column for key in part.keys)).select_from(runs)
        for table, on, is_outer in part.joins:
            query = query.join(table, on, isouter=is_outer)
        query = query.where(*conditions, *part.where).order_by(*(key.order for key in part.keys))
        return query if place is None else query.where(behind(part.keys, place))

    def _plan(self) -> tuple[list[Part], list[ColumnElement[bool]]]:
        """Choose the way to the page."""
        few = self._few()
        if few is not None:
            leaves = [where(condition, self.fields.leaf) for condition in self.wanted]
            return [sorted_part(self.terms)], [*self._scope(indexed=False), runs.c.id.in_(few), *leaves]
        leading = self.orders[0].field
        if leading.side is Side.METRIC:
            return self._along_metric(self.terms[0], leading.key)
        leaves = [where(condition, self.fields.leaf) for condition in self.wanted]
        if self.terms[0].joined is not None:
            return walked_parts(self.terms), [*self._scope(indexed=False), *leaves]
        if self._is_walked():
            by_index = self._scope_kind() != "experiments"
            return walked_parts(self.terms), [*self._scope(indexed=by_index), *leaves]
        return [sorted_part(self.terms)], [*self._scope(indexed=True), *leaves]

    def _along_metric(self, term: Term, key: str) -> tuple[list[Part], list[ColumnElement[bool]]]:
        """Follow the values of a metric; what is asked of that metric is asked on the way."""
        here: list[Condition] = []
        other: list[Condition] = []
        for it in self.wanted:
            is_here = isinstance(it, Comparison) and it.field == Field(Side.METRIC, key)
            (here if is_here else other).append(it)
        leaves = [where(condition, self.fields.leaf) for condition in other]
        asked = [self.fields.last_value(term.values[0], it) for it in here if isinstance(it, Comparison)]
        parts = walked_parts(self.terms)
        # A run without the metric fits no comparison with it.
        return parts[:2] if here else parts, [*self._scope(indexed=False), *leaves, *asked]

    def _few(self) -> Select[Any] | None:
        """Give the ids of few runs, among them all that fit, if an index names them."""
        named = [it for part in self.wanted if (it := candidates(part, self.fields)) is not None]
        scope = self._scope(indexed=True)[:-1]
        # An order of this scope alone is followed whether the scope is small or not.
        if scope and (self._scope_kind() == "experiments" or not self._is_walked()):
            named.append(select(runs.c.id).where(*scope))
        if not named:
            return None
        counts = [select(func.count()).select_from(it.limit(FEW + 1).subquery()) for it in named]
        found = self.connection.execute(select(*(it.scalar_subquery() for it in counts))).one()
        fewest = min(range(len(named)), key=lambda at: found[at])
        return named[fewest] if found[fewest] <= FEW else None

    def _is_walked(self) -> bool:
        leading = self.orders[0].field
        return leading.side is Side.ATTRIBUTE and leading.key in _ORDERED[self._scope_kind()]

    def _scope_kind(self) -> str:
        ids = self.search.experiment_ids
        if ids is not None:
            return "experiment" if len(ids) == 1 else "experiments"
        return "project" if self.search.project_id else "hub"

    def _scope(self, *, indexed: bool) -> list[ColumnElement[bool]]:
        """Give which runs are looked at; the last condition is that of their lifecycle.

        Args:
            indexed: Whether a database may come to them through an index of this.
        """
        found: list[ColumnElement[bool]] = []
        project: Any = runs.c.project_id
        experiments: Any = runs.c.experiment_id
        if not indexed and self.fields.is_sqlite:
            # An expression is what no index has. PostgreSQL counts by columns, and could not tell of one.
            project, experiments = project.concat(""), experiments.concat("")
        if self.search.project_id:
            found.append(project == self.search.project_id)
        if (ids := self.search.experiment_ids) is not None:
            found.append(experiments == ids[0] if len(ids) == 1 else experiments.in_(ids))
        found += has_words(self.connection, self.search.text)
        return [*found, _lifecycle(self.search.view)]


def _lifecycle(view: View) -> ColumnElement[bool]:
    deleted = runs.c.deleted_at
    if view is View.ALL:
        return runs.c.id.is_not(None)
    return deleted.is_(None) if view is View.ACTIVE else deleted.is_not(None)


def _complete(orders: Sequence[Order]) -> tuple[Order, ...]:
    """Let no two runs be equal."""
    is_complete = any(it.field in (_ID.field, Field(Side.ATTRIBUTE, "id")) for it in orders)
    return tuple(orders) if is_complete else (*orders, _ID)


def _called(order: Order) -> str:
    return f"{order.field.side} {order.field.key} {order.ascending}"
