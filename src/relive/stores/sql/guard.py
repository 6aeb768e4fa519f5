"""What a person may ask in SQL: one SELECT over the tables that hold no secrets, with harmless functions.

The question is parsed, checked part by part against what is allowed, and written again from the tree, so
that the database never sees text that was not understood here. On SQLite its own authorizer stands behind
this, on PostgreSQL a read-only transaction.
"""

from collections.abc import Iterable
from typing import Any, Final

from relive.errors import InvalidInput
from relive.stores.sql.tables.base import METADATA

# Not: tokens, users, meta, webhooks (secrets and who may), jobs (orders), locks, the pieces of logs and
# series, which are no rows that one could read.
OPEN_TABLES: Final = (
    "projects",
    "experiments",
    "experiment_tags",
    "runs",
    "params",
    "tags",
    "metric_series",
    "artifacts",
    "inputs",
    "verdicts",
    "pipelines",
    "stages",
    "models",
    "model_tags",
    "model_versions",
    "version_tags",
    "aliases",
    "endpoints",
    "revisions",
    "logged_models",
    "logged_model_params",
    "logged_model_tags",
    "logged_datasets",
    "run_datasets",
    "run_models",
    "datasets",
    "dataset_versions",
    "dataset_reads",
    "evaluation_datasets",
    "evaluation_tags",
    "evaluation_experiments",
    "evaluation_records",
    "scorers",
    "scorer_versions",
    "label_schemas",
    "review_queues",
    "review_users",
    "review_items",
    "issues",
    "traces",
    "trace_tags",
    "trace_metadata",
    "trace_numbers",
    "trace_prompts",
    "run_traces",
    "spans",
    "assessments",
    "events",
)
_LONGEST: Final = 20_000
# By the names of sqlglot's expressions; aggregates are all allowed.
_FUNCTIONS: Final = frozenset(
    {
        *("Abs", "And", "Case", "Cast", "Ceil", "Coalesce", "Concat", "Count", "Exp", "Exists", "Extract"),
        *("Floor", "Greatest", "If", "JSONExtract", "JSONExtractScalar", "JSONArrayLength", "Least"),
        *("Length", "Ln", "Log", "Lower", "Mod", "Nullif", "Or", "Pow", "Replace", "Round", "Sign", "Sqrt"),
        *("StrPosition", "Substring", "Trim", "UnixToTime", "Upper", "Xor", "FirstValue", "LastValue"),
        *("Lag", "Lead", "NthValue", "RowNumber", "Rank", "DenseRank", "PercentRank", "CumeDist", "Ntile"),
    }
)
_BY_NAME: Final = frozenset({"JSON_TYPE", "JSON_TYPEOF", "INSTR", "TOTAL", "CHAR_LENGTH"})


def tables() -> dict[str, tuple[str, ...]]:
    """Give the tables that may be asked, with their columns."""
    return {name: tuple(map(str, METADATA.tables[name].columns.keys())) for name in OPEN_TABLES}


def guarded(query: str, *, is_sqlite: bool) -> str:
    """Give the question as the database may be asked it.

    Raises:
        InvalidInput: It is not one SELECT, or it asks for what is not open.
    """
    # Late: only who asks in SQL needs a parser.
    import sqlglot
    from sqlglot import errors, exp

    dialect = "sqlite" if is_sqlite else "postgres"
    if len(query) > _LONGEST:
        raise _refused(query[:60], f"at most {_LONGEST} characters")
    try:
        trees = [tree for tree in sqlglot.parse(query, read=dialect) if tree is not None]
    except (errors.SqlglotError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else "it cannot be read"
        raise _refused(query, f"one SELECT statement ({first})") from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise _refused(query, "one SELECT statement")
    tree = trees[0]
    names = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    for node in tree.walk():
        _check(node, names)
    return tree.sql(dialect=dialect, comments=False)


def _check(node: Any, ctes: Iterable[str]) -> None:
    from sqlglot import exp

    if isinstance(node, exp.Table):
        _check_table(node, ctes)
    elif isinstance(node, exp.Anonymous):
        if node.name.upper() not in _BY_NAME:
            raise _refused(node.name, "a function that only looks at its arguments")
    elif isinstance(node, exp.Func):
        if not isinstance(node, exp.AggFunc) and type(node).__name__ not in _FUNCTIONS:
            raise _refused(node.sql_name(), "a function that only looks at its arguments")
    elif isinstance(node, _changing()) and not isinstance(node, exp.Query):
        raise _refused(type(node).__name__.upper(), "SELECT alone: nothing can be changed here")


def _changing() -> tuple[type, ...]:
    from sqlglot import exp

    return (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock, exp.Placeholder, exp.Parameter)


def _check_table(node: Any, ctes: Iterable[str]) -> None:
    from sqlglot import exp

    if not isinstance(node.this, exp.Identifier) or node.db or node.catalog:
        raise _refused(node.sql(), "a table by its plain name")
    if node.name.lower() not in OPEN_TABLES and node.name.lower() not in ctes:
        raise _refused(f"table {node.name}", f"one of: {', '.join(OPEN_TABLES)}")


def _refused(value: str, wanted: str) -> InvalidInput:
    return InvalidInput(field="query", value=value, wanted=wanted, hint="relive sql --tables")
