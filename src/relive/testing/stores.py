"""The contract of the fact store: one suite, which every backend runs as it is.

A backend's test module supplies two fixtures and subclasses what it wants to be held to::

    @pytest.fixture
    def clock() -> ManualClock: ...

    @pytest.fixture
    def store(clock: ManualClock) -> Iterator[Store]:
        # empty, and keeping time by `clock`
        ...

    class TestMyStore(StoreContract): ...
"""

from relive.testing.queue import ClaimContract, LeaseContract, LockContract, SetBackClockContract
from relive.testing.stores_accounts import AccountContract, ProjectContract
from relive.testing.stores_dataset_versions import DatasetVersionContract
from relive.testing.stores_evaluation import EvaluationContract, ScorerContract
from relive.testing.stores_events import EventContract, TransactionContract
from relive.testing.stores_experiments import DatasetContract, ExperimentContract
from relive.testing.stores_files import FileContract
from relive.testing.stores_keeping import KeepingContract
from relive.testing.stores_logged_models import LoggedModelContract
from relive.testing.stores_metrics import MetricContract
from relive.testing.stores_pipelines import PipelineContract, StageContract
from relive.testing.stores_questions import QuestionContract
from relive.testing.stores_records import LogContract, RecordContract
from relive.testing.stores_registry import EndpointContract, RegistryContract
from relive.testing.stores_registry_changes import RegistryChangeContract, RegistrySearchContract
from relive.testing.stores_reviews import IssueContract, LabelSchemaContract, ReviewContract
from relive.testing.stores_run_tables import RunTableContract
from relive.testing.stores_runs import FenceContract, RunContract, RunListContract
from relive.testing.stores_search import SearchContract
from relive.testing.stores_spans import SpanContract
from relive.testing.stores_traces import TraceContract, TraceSearchContract
from relive.testing.stores_views import ViewContract
from relive.testing.stores_webhooks import WebhookContract


class QueueContract(ClaimContract, LeaseContract, SetBackClockContract, LockContract):
    """All that is promised of the queue."""


class StoreContract(
    AccountContract,
    ProjectContract,
    ExperimentContract,
    DatasetContract,
    DatasetVersionContract,
    RunContract,
    RunListContract,
    FenceContract,
    SearchContract,
    MetricContract,
    RecordContract,
    LogContract,
    PipelineContract,
    StageContract,
    RegistryContract,
    RegistryChangeContract,
    RegistrySearchContract,
    LoggedModelContract,
    EvaluationContract,
    ScorerContract,
    LabelSchemaContract,
    ReviewContract,
    IssueContract,
    TraceContract,
    TraceSearchContract,
    SpanContract,
    FileContract,
    WebhookContract,
    ViewContract,
    RunTableContract,
    EndpointContract,
    EventContract,
    TransactionContract,
    KeepingContract,
    QuestionContract,
):
    """All that is promised of the rest of the store."""
