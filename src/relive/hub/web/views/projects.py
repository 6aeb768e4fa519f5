"""Projects: the list, and the page that tells whether one is healthy."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from relive.core.model import ModelVersion
from relive.core.pipeline import Pipeline, PipelineSpec
from relive.core.project import Project
from relive.core.run import MetricSummary, Run, RunKind
from relive.errors import NotFound
from relive.hub.web.marks import REVISIONS, Mark
from relive.hub.web.views.events import EventLine, event_line
from relive.hub.web.views.runs import RunLine, run_lines
from relive.hub.web.views.spark import Spark, Value, spark
from relive.hub.web.views.stages import PipelineLine, pipeline_line
from relive.hub.web.views.verdicts import Banner, banner_of, mark_of
from relive.hub.web.words import MOST_COUNTED, number, short
from relive.services.activity import feed
from relive.services.context import Services

_CHAMPION = "champion"
_TREND_RUNS = 60
_CARD_PIPELINES = 20


class Champion(msgspec.Struct, frozen=True, kw_only=True):
    """The version in production of one model, and whether it can be lived again."""

    model: str
    version: int
    url: str
    commit: str
    verdict: Mark
    banner: Banner
    metrics: tuple[tuple[str, float], ...]
    at: float


class EndpointLine(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint in one row; `version` is what it serves, empty if nothing yet."""

    name: str
    url: str
    mark: Mark
    version: str
    version_url: str
    revision: int


class ProjectLine(msgspec.Struct, frozen=True, kw_only=True):
    """A project in one row."""

    name: str
    url: str
    runs: int
    pipeline: PipelineLine | None
    champion: Champion | None
    endpoint: EndpointLine | None
    trend: Spark | None
    at: float


class ProjectPage(msgspec.Struct, frozen=True, kw_only=True):
    """Is this project healthy?

    Attributes:
        trend_of: The metric of the trend, empty if no run has one.
        git_url: Where to push.
    """

    name: str
    default_branch: str
    mirror: str
    git_url: str
    runs: int
    champions: tuple[Champion, ...]
    endpoints: tuple[EndpointLine, ...]
    pipelines: tuple[PipelineLine, ...]
    latest: tuple[RunLine, ...]
    trend: Spark | None
    trend_of: str
    trend_last: float | None
    trend_best: float | None
    events: tuple[EventLine, ...]


def list_projects(services: Services, *, limit: int | None = None) -> tuple[ProjectLine, ...]:
    """Give every project as a row, the one with the latest activity first."""
    lines = [_line(services, project) for project in services.store.list_projects()]
    return tuple(sorted(lines, key=lambda line: -line.at)[:limit])


def get_project(services: Services, name: str) -> ProjectPage:
    """Give a project's page.

    Raises:
        NotFound: There is no such project.
    """
    store = services.store
    project = store.get_project(name)
    pipelines = store.list_pipelines(project_id=project.id, limit=6)
    runs = store.list_runs(project_id=project.id, limit=_TREND_RUNS)
    key, values = _trend(services, runs, pipelines)
    numbers = [value.value for value in values]
    return ProjectPage(
        name=project.name,
        default_branch=project.default_branch,
        mirror=project.mirror,
        git_url=f"{services.place.public_url}/git/{project.name}.git",
        runs=store.count_runs(project_id=project.id, most=MOST_COUNTED),
        champions=champions(services, project),
        endpoints=endpoint_lines(services, project),
        pipelines=tuple(pipeline_line(services, pipeline, project) for pipeline in pipelines),
        latest=run_lines(services, runs[:6]),
        trend=spark(values, f"{key} of the last {len(values)} runs that have it", width=760, height=150),
        trend_of=key,
        trend_last=numbers[-1] if numbers else None,
        trend_best=_best(key, numbers),
        events=tuple(event_line(event) for event in feed(services, project=project.name, limit=10)),
    )


def champions(services: Services, project: Project) -> tuple[Champion, ...]:
    """Give the version behind the alias `champion` of each model of a project."""
    found = []
    for model in services.store.list_models(project.id):
        try:
            found.append(champion(services, services.store.get_version(model.name, _CHAMPION)))
        except NotFound:
            continue  # nothing was promoted yet
    return tuple(found)


def champion(services: Services, version: ModelVersion) -> Champion:
    """Give a version with the verdict on the run that made it."""
    verdicts = services.store.list_verdicts(version.run_id)
    metrics = version.facts.get("metrics", {})
    return Champion(
        model=version.model,
        version=version.version,
        url=f"/m/{version.model}/v/{version.version}",
        commit=str(version.facts.get("commit", "")),
        verdict=mark_of(verdicts),
        banner=banner_of(services, version.run_id),
        metrics=order_metrics(metrics, _spec_of(services, version))[:4],
        at=version.created_at,
    )


def endpoint_lines(services: Services, project: Project) -> tuple[EndpointLine, ...]:
    """Give the endpoints of a project."""
    store, lines = services.store, []
    for endpoint in store.list_endpoints(project.id):
        live = store.get_revision(endpoint.live) if endpoint.live else None
        version = live.facts.get("version", "") if live else ""
        model = live.facts.get("model", endpoint.model) if live else endpoint.model
        lines.append(
            EndpointLine(
                name=endpoint.name,
                url=f"/e/{endpoint.name}",
                mark=REVISIONS[live.state] if live else Mark("○", "no traffic yet", "quiet"),
                version=f"{model} v{version}" if live else "",
                version_url=f"/m/{model}/v/{version}" if live else "",
                revision=live.number if live else 0,
            )
        )
    return tuple(lines)


def is_less_better(key: str) -> bool:
    """Tell whether a metric of this name is better when it is smaller, by the habits of the field."""
    words = key.lower().replace("-", "_").replace("/", "_").split("_")
    return any(
        word in ("loss", "error", "err", "rmse", "mse", "mae", "latency", "perplexity", "brier")
        for word in words
    )


def order_metrics(metrics: Mapping[str, float], spec: PipelineSpec | None) -> tuple[tuple[str, float], ...]:
    """Give metrics, those that decided first."""
    keys = dict.fromkeys([key for key in _deciding(spec) if key in metrics] + list(metrics))
    return tuple((str(key), float(metrics[key])) for key in keys)


def _line(services: Services, project: Project) -> ProjectLine:
    pipelines = services.store.list_pipelines(project_id=project.id, limit=_CARD_PIPELINES)
    # A branch where somebody tries things says nothing about what is in production.
    default = f"refs/heads/{project.default_branch}"
    shown = next((it for it in pipelines if it.ref == default), pipelines[0] if pipelines else None)
    runs = services.store.list_runs(project_id=project.id, limit=30)
    best = champions(services, project)
    endpoints = endpoint_lines(services, project)
    key, values = _trend(services, runs, pipelines)
    times = [project.created_at, *(p.created_at for p in pipelines[:1]), *(r.created_at for r in runs[:1])]
    return ProjectLine(
        name=project.name,
        url=f"/p/{project.name}",
        runs=services.store.count_runs(project_id=project.id, most=MOST_COUNTED),
        pipeline=pipeline_line(services, shown, project) if shown else None,
        champion=best[0] if best else None,
        endpoint=endpoints[0] if endpoints else None,
        trend=spark(values, f"{key} of the last {len(values)} runs that have it"),
        at=max(times),
    )


def _trend(services: Services, runs: Sequence[Run], pipelines: Sequence[Pipeline]) -> tuple[str, list[Value]]:
    """Choose the metric that says most, and give its values, oldest first."""
    made = {run.id: run for run in runs if run.kind is not RunKind.REPLAY}
    summaries = [item for item in services.store.list_metrics(list(made)) if math.isfinite(item.last)]
    key = _headline(summaries, pipelines)
    chosen = [item for item in summaries if item.key == key]
    chosen.sort(key=lambda item: made[item.run_id].created_at)
    return key, [
        Value(
            value=item.last,
            title=_said(made[item.run_id], item),
            url=f"/r/{item.run_id}",
        )
        for item in chosen
    ]


def _said(run: Run, item: MetricSummary) -> str:
    return f"{run.name}: {item.key} {number(item.last)}, commit {short(run.commit) or '–'}"


def _headline(summaries: Sequence[MetricSummary], pipelines: Sequence[Pipeline]) -> str:
    """A metric that decides, else the one that most runs have."""
    there = Counter(item.key for item in summaries)
    for pipeline in pipelines:
        for key in _deciding(pipeline.spec):
            if key in there:
                return key
    return min(there, key=lambda key: (-there[key], key), default="")


def _deciding(spec: PipelineSpec | None) -> tuple[str, ...]:
    """Give the metrics that a pipeline decides by: those of its gates, then those it selects by."""
    stages = spec.stages if spec else ()
    gates = [gate.metric for stage in stages for gate in stage.gates]
    return (*gates, *(stage.select.metric for stage in stages if stage.select))


def _spec_of(services: Services, version: ModelVersion) -> PipelineSpec | None:
    try:
        return services.store.get_pipeline(version.pipeline_id).spec if version.pipeline_id else None
    except NotFound:
        return None


def _best(key: str, values: Sequence[float]) -> float | None:
    if not values:
        return None
    return min(values) if is_less_better(key) else max(values)
