"""What a stored database holds: something in every table, written and read back through the store itself."""

from typing import Any

import msgspec

from relive.core.access import Scope, Token, User
from relive.core.dataset import Dataset, DatasetRead, DatasetVersion
from relive.core.endpoint import Revision, RevisionState
from relive.core.evaluation import EvaluationDataset, EvaluationRecord
from relive.core.event import Event
from relive.core.job import Job, JobKind, JobState, Pool
from relive.core.logged_model import LoggedModel, ModelMetric
from relive.core.model import ModelVersion, Signature, TensorSpec
from relive.core.pipeline import (
    Action,
    Gate,
    Pipeline,
    PipelineSpec,
    PipelineStatus,
    PlannedStage,
    Stage,
    StageSpec,
    StageStatus,
)
from relive.core.review import (
    Issue,
    IssueSeverity,
    LabelKind,
    LabelSchema,
    QueueKind,
    ReviewQueue,
    ReviewStatus,
)
from relive.core.run import Artifact, FailureReason, Input, Metric, ResourceUse, Run, RunKind, RunStatus
from relive.core.saved_view import SavedView
from relive.core.search import Field, Order, Side
from relive.core.stored_file import StoredFile
from relive.core.trace import Assessment, AssessmentKind, Span, Trace, TraceState
from relive.core.trace_filter import parse_trace_filter
from relive.core.trajectory import Verdict, VerdictLevel
from relive.core.webhook import Webhook, WebhookDelivery
from relive.ports.review import Within
from relive.ports.search import Search
from relive.ports.stores import Store

START = 1_800_000_000.5
RUN, JOB, PIPELINE, STAGE, VERSION, REVISION = (digit * 32 for digit in "123456")
_BY_NAME = Order(Field(Side.ATTRIBUTE, "name"))
SPEC = StageSpec(name="train", cmd=("python train.py",), gates=(Gate(metric="acc", min=0.9),))


def fill(store: Store) -> None:
    """Put something in every table; what is random (ids of projects, …) is different each time."""
    store.create_user(User(id="u1", name="ann", role=Scope.ADMIN))
    store.create_token(
        Token(id="t1", scope=Scope.MEMBER, subject="user:ann", expires_at=START + 60), "digest"
    )
    project = store.create_project("demo", default_branch="trunk")
    store.set_ref(project.id, "refs/heads/trunk", old="", new="c" * 40)
    store.record_delivery("github", "delivery-1")
    store.save_view(
        SavedView(
            id="view1", project_id=project.id, name="best", query="order=-metrics.acc", created_by="ann"
        )
    )
    store.set_meta("key", "value")
    store.record_event(Event(kind="push", actor="ann", subject=f"run:{RUN}", facts={"ref": "trunk"}))
    _fill_work(store, project.id)
    _fill_run(store, project.id)
    _fill_models(store, project.id)
    _fill_logged(store, store.ensure_experiment(project.id, "tries").id)
    _fill_evaluation(store, project.id, store.ensure_experiment(project.id, "tries").id)
    _fill_data(store, project.id)
    _fill_traces(store, store.ensure_experiment(project.id, "tries").id)
    _fill_reviews(store, store.ensure_experiment(project.id, "tries").id)


def _fill_data(store: Store, project_id: str) -> None:
    named = store.ensure_dataset(Dataset(id="data-1", project_id=project_id, name="sales", created_by="ann"))
    version = DatasetVersion(
        id="data-1-1",
        dataset_id=named.id,
        name="sales",
        number=0,
        digest="manifest digest",
        layout="layout digest",
        message="täg",
        files=2,
        size_bytes=2**40,
        profile={"tables": [{"path": "a.csv"}]},
        source_run_id=RUN,
    )
    store.add_dataset_version(version)
    store.record_dataset_reads([DatasetRead(run_id=RUN, dataset_id=named.id, number=1, path="data/sales")])


def _fill_work(store: Store, project_id: str) -> None:
    planned = PlannedStage(key="train", name="train", action=Action.RUN, spec=SPEC)
    pipeline = Pipeline(
        id=PIPELINE,
        project_id=project_id,
        number=0,
        commit="c" * 40,
        ref="refs/heads/trunk",
        trigger="push",
        actor="ann",
        status=PipelineStatus.RUNNING,
        spec=PipelineSpec(stages=(SPEC,)),
        warnings=("a warning",),
    )
    stage = Stage(
        id=STAGE,
        pipeline_id=PIPELINE,
        key="train",
        name="train",
        action=Action.RUN,
        status=StageStatus.RUNNING,
        planned=planned,
        cache_facts={"cmd": "x"},
        result={"tests": {"passed": 3}},
    )
    store.create_pipeline(pipeline)
    store.create_stages([stage])
    store.record_cached(project_id, "cache key", RUN, scope="protected")
    store.record_environment("environment key", "lock digest")
    store.create_pool(Pool(name="local", executor="local", config={"a": 1}))
    store.hold_lock("scheduler", "hub 1", lease_s=10.0)
    store.put(Job(id=JOB, kind=JobKind.STAGE, state=JobState.QUEUED, payload={"n": [1]}), unique="once")
    store.claim("hub 1", pools=["local"], kinds=[JobKind.STAGE], lease_s=30.0)


def _fill_run(store: Store, project_id: str) -> None:
    run = Run(
        id=RUN,
        project_id=project_id,
        experiment_id=store.ensure_experiment(project_id, "default").id,
        name="brave otter",
        kind=RunKind.STAGE,
        status=RunStatus.FAILED,
        job_id=JOB,
        fence=1,
        failure=FailureReason.OOM,
        usage=ResourceUse(1.5, 0.5, 2**33),
        tainted=True,
        heard_at=START - 60.0,
    )
    store.create_run(run)
    points = [Metric("acc", 0.1 * step, step, START + step) for step in range(3)]
    store.record_metrics(RUN, [*points, Metric("loss", float("inf"))], fence=1, batch="b1")
    many = [
        Metric("many", -0.1 * step if step % 5 else float("nan"), step, START + step) for step in range(40)
    ]
    store.record_metrics(RUN, many, fence=1)
    while store.pack_metrics():
        pass
    store.record_metrics(RUN, [Metric("many", 1.5, 7, START)], fence=1)
    store.record_params(RUN, {"lr": 0.1, "layers": [3, None], "note": 'a"\0\\'}, fence=1)
    store.set_tags(RUN, {"note": "täg"}, fence=1)
    store.record_artifact(
        Artifact(run_id=RUN, path="model", manifest="m", size_bytes=2**40, files=2), fence=1
    )
    store.record_inputs(
        [Input(run_id=RUN, path="data", manifest="m", origin="file", source_run_id=RUN)], fence=1
    )
    store.append_log(RUN, b"hello\xff", offset=0, fence=1)
    store.record_verdict(Verdict(level=VerdictLevel.BIT_EXACT, run_id=RUN, id="v1", steps_compared=3))


def _fill_models(store: Store, project_id: str) -> None:
    model = store.ensure_model(project_id, "digits")
    spec = TensorSpec(name="x", datatype="FP32", shape=(-1, 64))
    version = ModelVersion(
        id=VERSION,
        model_id=model.id,
        model="digits",
        version=0,
        run_id=RUN,
        manifest="m",
        sha256="s",
        stage_id=STAGE,
        signature=Signature(inputs=(spec,), outputs=()),
        facts={"metrics": {"acc": 0.2}},
    )
    store.create_version(version)
    store.set_alias("digits", "champion", 1, by="ann")
    endpoint = store.ensure_endpoint(project_id, "digits", "digits")
    state = RevisionState.READY
    store.create_revision(
        Revision(
            id=REVISION, endpoint_id=endpoint.id, number=0, version_id=VERSION, state=state, stage_id=STAGE
        )
    )
    store.route(endpoint.id, live=REVISION, previous="")


def _fill_logged(store: Store, experiment_id: str) -> None:
    store.set_model_tags(store.get_model("digits").id, {"team": "blue"})
    store.set_version_tags(VERSION, {"checked": "yes"})
    model = LoggedModel(id="m-1", experiment_id=experiment_id, name="net", artifact_location="here")
    store.create_logged_model(model, params={"lr": "0.1"}, tags={"team": "blue"})
    store.record_model_metrics(
        [ModelMetric(model_id="m-1", key="acc", run_id=RUN, value=0.5, at=START, dataset_name="d")]
    )
    store.record_file(StoredFile(path="1/models/m-1/artifacts/MLmodel", digest="d", size_bytes=3))
    store.create_webhook(
        Webhook(id="w1", name="ci", url="https://ci.example", events=("prompt.created",), secret="s")
    )
    store.create_delivery(WebhookDelivery(id="d1", webhook_id="w1", event="prompt.created", body="{}"))


def _fill_traces(store: Store, experiment_id: str) -> None:
    trace = Trace(id="tr-1", experiment_id=experiment_id, started_ms=5, duration_ms=7, state=TraceState.OK)
    store.create_trace(trace)
    store.set_trace_tags("tr-1", {"team": "blue"})
    store.set_trace_metadata("tr-1", {"mlflow.trace.session": "s"})
    store.set_trace_numbers("tr-1", {"total_tokens": 7, "total_cost": 0.5})
    store.record_spans(
        [Span(trace_id="tr-1", id="s1", name="ask", started_ns=5, content="{}", usage={"total_tokens": 7})]
    )
    store.create_assessment(
        Assessment(
            id="a-1",
            trace_id="tr-1",
            name="ok",
            kind=AssessmentKind.FEEDBACK,
            value="true",
            number=1.0,
            metadata={"a": "b"},
        )
    )
    store.link_traces(RUN, ["tr-1"])
    store.link_prompts("tr-1", ["greet/1"])


def _fill_evaluation(store: Store, project_id: str, experiment_id: str) -> None:
    dataset = EvaluationDataset(id="d-1", project_id=project_id, name="questions", digest="0", records=1)
    store.create_evaluation_dataset(dataset, tags={"team": "blue"}, experiment_ids=[experiment_id])
    record = EvaluationRecord(id="dr-1", dataset_id="d-1", input_digest="i", inputs='{"q": "why?"}')
    store.keep_evaluation_records([record])
    store.create_scorer_version(experiment_id, "exact", '{"name": "exact"}', created_by="ann")


def _fill_reviews(store: Store, experiment_id: str) -> None:
    within: Any = {"experiment_id": experiment_id, "created_by": "ann"}
    asked = LabelSchema(
        id="ls-1", name="good?", kind=LabelKind.FEEDBACK, input={"text": {"max_length": 9}}, **within
    )
    store.create_label_schema(asked)
    queue = ReviewQueue(
        id="rq-1", name="To do", folded_name="to do", kind=QueueKind.CUSTOM, schema_ids=("ls-1",), **within
    )
    store.create_review_queue(queue, users=["bob"])
    store.add_review_items("rq-1", ["tr-1"])
    done = {"status": ReviewStatus.COMPLETE, "completed_by": "bob", "completed_at": START}
    store.set_review_item("rq-1", "tr-1", **done)
    store.create_issue(
        Issue(
            id="iss-1",
            name="slow",
            description="it takes long",
            severity=IssueSeverity.LOW,
            root_causes=("a loop",),
            source_run_id=RUN,
            **within,
        )
    )


def read_back(store: Store) -> dict[str, Any]:
    """Read all of it, as JSON values."""
    project = store.get_project("demo")
    found = {
        "users": store.list_users(),
        "token": store.find_token("t1"),
        "project": project,
        "refs": store.list_refs(project.id),
        "views": store.list_views(project.id),
        "delivery is new": store.record_delivery("github", "delivery-1"),
        "meta": store.get_meta("key"),
        "events": store.list_events(),
        "experiments": store.list_experiments(),
        "runs": store.list_runs(text="otter", order="-metrics.acc"),
        "metrics": store.list_metrics([RUN]),
        "series": store.get_series(RUN, "acc"),
        "packed series": store.get_series(RUN, "many"),
        "params": store.list_params([RUN]),
        "tags": store.list_tags([RUN]),
        "artifacts": store.list_artifacts(RUN),
        "inputs": store.list_consumers(RUN),
        "log": store.read_log(RUN),
        "verdicts": store.list_verdicts(RUN),
        "pipelines": store.list_pipelines(),
        "stages": store.list_stages(PIPELINE),
        "cached": store.find_cached(project.id, "cache key", scopes=("protected",)),
        "environment": store.find_environment("environment key"),
        "jobs": store.list_jobs(),
        "job is new": store.put(Job(id="x", kind=JobKind.PLAN, state=JobState.QUEUED), unique="once"),
        "pools": store.list_pools(),
        "lock is free": store.hold_lock("scheduler", "hub 2", lease_s=10.0),
        "models": store.list_models(),
        "version": store.find_version_of_stage(STAGE),
        "aliases": store.list_aliases("digits"),
        "endpoints": store.list_endpoints(),
        "revisions": store.list_revisions(),
        "routing": store.routing_version(),
        "model tags": list(store.list_model_tags([store.get_model("digits").id]).values()),
        "version tags": store.list_version_tags([VERSION]),
        "logged model": store.list_logged_models(["m-1"]),
        "its params": store.list_logged_model_params(["m-1"]),
        "its tags": store.list_logged_model_tags(["m-1"]),
        "its metrics": store.list_model_metrics(["m-1"]),
        "its files": store.list_files("1/models/m-1"),
        "traces": store.list_traces(["tr-1"]),
        "tags of traces": store.list_trace_tags(["tr-1"]),
        "metadata of traces": store.list_trace_metadata(["tr-1"]),
        "spans": store.list_spans(["tr-1"]),
        "assessments": store.list_assessments(["tr-1"]),
        "traces of a run": _traces(store, f"run_id = '{RUN}'"),
        "traces of a prompt": _traces(store, "prompt = 'greet/1'"),
        "evaluation data sets": store.search_evaluation_datasets(Search(orders=(_BY_NAME,))).datasets,
        "their tags": store.list_evaluation_tags(["d-1"]),
        "their experiments": store.list_evaluation_experiments(["d-1"]),
        "their records": store.list_evaluation_records("d-1"),
        "scorers": store.list_scorers([experiment.id for experiment in store.list_experiments()]),
        "label schemas": store.list_label_schemas(Within()),
        "review queues": store.list_review_queues(Within(), user="bob"),
        "their items": store.list_review_items("rq-1"),
        "issues": store.search_issues(Within(), count=True),
        "data sets in versions": store.list_all_datasets(),
        "their versions": store.list_dataset_versions("data-1"),
        "their readers": store.list_dataset_reads("data-1", 1),
        "made by the run": store.list_versions_made_by(RUN),
        "webhooks": store.list_webhooks(),
        "deliveries": store.list_deliveries(),
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))
    return plain


def _traces(store: Store, text: str) -> tuple[Trace, ...]:
    experiments = [experiment.id for experiment in store.list_experiments()]
    return store.search_traces(experiments, parse_trace_filter(text)).traces


def assert_holds(now: Any, then: Any, where: str = "") -> None:
    """Refuse anything that was there then and is not now; what is new since is welcome."""
    if isinstance(then, dict):
        assert isinstance(now, dict), where
        for key, value in then.items():
            assert key in now, f"{where}.{key} is gone"
            assert_holds(now[key], value, f"{where}.{key}")
    elif isinstance(then, list):
        assert isinstance(now, list), where
        assert len(now) == len(then), where
        for index, value in enumerate(then):
            assert_holds(now[index], value, f"{where}[{index}]")
    else:
        assert now == then, where
