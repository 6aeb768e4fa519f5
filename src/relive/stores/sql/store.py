"""The whole fact store: one class a Protocol of `ports.stores`, joined."""

from collections.abc import Iterator
from contextlib import contextmanager

from relive.stores.sql.accounts import SqlAccounts
from relive.stores.sql.asking import SqlAsking
from relive.stores.sql.dataset_versions import SqlDatasetVersions
from relive.stores.sql.datasets import SqlDatasets
from relive.stores.sql.endpoints import SqlEndpoints
from relive.stores.sql.engine import Clock, Database
from relive.stores.sql.evaluation import SqlEvaluation
from relive.stores.sql.events import SqlEvents
from relive.stores.sql.experiments import SqlExperiments
from relive.stores.sql.files import SqlFiles
from relive.stores.sql.issues import SqlIssues
from relive.stores.sql.keeping import SqlKeeping
from relive.stores.sql.labels import SqlLabelSchemas
from relive.stores.sql.logged_models import SqlLoggedModels
from relive.stores.sql.logged_search import SqlLoggedSearch
from relive.stores.sql.logs import SqlLogs
from relive.stores.sql.packing import SqlPacking
from relive.stores.sql.pipelines import SqlPipelines
from relive.stores.sql.projects import SqlProjects
from relive.stores.sql.purging import SqlPurging
from relive.stores.sql.queue import SqlQueue
from relive.stores.sql.records import SqlRecords
from relive.stores.sql.registry import SqlRegistry
from relive.stores.sql.registry_search import SqlRegistrySearch
from relive.stores.sql.reviews import SqlReviews
from relive.stores.sql.run_tables import SqlRunTables
from relive.stores.sql.runs import SqlRuns
from relive.stores.sql.schema import prepare
from relive.stores.sql.scorers import SqlScorers
from relive.stores.sql.search import SqlSearch
from relive.stores.sql.search_experiments import SqlExperimentSearch
from relive.stores.sql.trace_parts import SqlAssessments, SqlSpans
from relive.stores.sql.trace_samples import SqlTraceSamples
from relive.stores.sql.traces import SqlTraces
from relive.stores.sql.views import SqlViews
from relive.stores.sql.webhooks import SqlWebhooks


class SqlStore(
    SqlAccounts,
    SqlProjects,
    SqlExperiments,
    SqlRuns,
    SqlSearch,
    SqlExperimentSearch,
    SqlPacking,
    SqlRecords,
    SqlDatasets,
    SqlDatasetVersions,
    SqlLogs,
    SqlPipelines,
    SqlQueue,
    SqlRegistry,
    SqlRegistrySearch,
    SqlLoggedModels,
    SqlLoggedSearch,
    SqlEvaluation,
    SqlScorers,
    SqlLabelSchemas,
    SqlReviews,
    SqlIssues,
    SqlTraces,
    SqlTraceSamples,
    SqlSpans,
    SqlAssessments,
    SqlFiles,
    SqlWebhooks,
    SqlViews,
    SqlRunTables,
    SqlEndpoints,
    SqlEvents,
    SqlKeeping,
    SqlPurging,
    SqlAsking,
):
    """Facts in SQLite or PostgreSQL; keeps the promises of `ports.stores.Store`."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Group this thread's calls: all or none.

        A group inside a group joins it; an error that is caught between the two undoes the inner one alone.
        """
        with self._db.write(group=True):
            yield

    def close(self) -> None:
        """Close every connection; the store cannot be used after that."""
        self._db.close()


def open_store(url: str, *, clock: Clock | None = None) -> SqlStore:
    """Open the store of a database, making its tables or bringing them up to date first.

    Args:
        url: `sqlite:///path/to/file.db` or `postgresql://user@host/database`.
        clock: Gives seconds since the epoch, UTC, instead of the database's own clock; for tests.

    Raises:
        InvalidInput: The URL names no database that relive can use.
        DatabaseUnreachable: The database is not there, refuses us, or cannot be read.
        DatabaseTooNew: A later relive made its tables.
    """
    database = Database(url, clock)
    try:
        prepare(database)
    except BaseException:
        database.close()
        raise
    return SqlStore(database)
