"""Models: which version is production, and may this one ship?"""

from collections.abc import Iterator, Sequence

import msgspec

from relive.core.artifact import Manifest
from relive.core.endpoint import Endpoint
from relive.core.model import Alias, ModelVersion, TensorSpec
from relive.core.pipeline import Stage
from relive.core.run import Run
from relive.errors import NotFound, ReliveError
from relive.hub.web import badge
from relive.hub.web.marks import Mark, of_version
from relive.hub.web.views.artifacts import FileLine, entry_line
from relive.hub.web.views.graphs import Graph, draw_lineage
from relive.hub.web.views.projects import is_less_better
from relive.hub.web.views.shipping import Check, answer, checks_of, is_deployable
from relive.hub.web.views.spark import Spark, Value, spark
from relive.hub.web.views.verdicts import Banner, banner_of, mark_of
from relive.hub.web.words import count, number, signed
from relive.services import catalog, lineage
from relive.services.context import Services
from relive.services.inputs import load_manifest
from relive.services.registry import verify_version
from relive.wire.hub import ModelDetail

_MOST_METRICS = 5
_MOST_FILES = 200


class VersionLine(msgspec.Struct, frozen=True, kw_only=True):
    """A version in one row; `metrics` follow the page's keys, "" for none."""

    version: int
    url: str
    mark: Mark
    verdict: Mark
    aliases: tuple[str, ...]
    metrics: tuple[str, ...]
    run_id: str
    commit: str
    pipeline: int
    created_by: str
    at: float


class ModelLine(msgspec.Struct, frozen=True, kw_only=True):
    """A model in one row; `champion` None while no version was promoted."""

    name: str
    url: str
    project: str
    versions: int
    champion: VersionLine | None
    endpoints: tuple[str, ...]
    keys: tuple[str, ...]
    trend: Spark | None


class ModelPage(msgspec.Struct, frozen=True, kw_only=True):
    """A model and its versions, newest first.

    Attributes:
        badge: Markdown that shows its badge elsewhere, and leads here.
    """

    name: str
    project: str
    keys: tuple[str, ...]
    versions: tuple[VersionLine, ...]
    aliases: tuple[Alias, ...]
    banner: Banner | None
    trend: Spark | None
    endpoints: tuple[str, ...]
    badge: str


class Verified(msgspec.Struct, frozen=True):
    """What checking signature and bytes showed."""

    mark: Mark
    sentence: str


class VersionPage(msgspec.Struct, frozen=True, kw_only=True):
    """May this version ship?

    Attributes:
        ships: The answer in one sentence.
        metrics: Name, value, and the difference to the champion ("" if it is the champion).
        run_pipeline: Number of the earlier pipeline that its run is of, 0 if it is of the same one.
        verified: What the reader's verification showed; None until asked.
        environment: Where the environment comes from that a version of a client is served in; else empty.
        endpoint: Which one to deploy it to is proposed; empty if it cannot be.
    """

    model: str
    version: int
    project: str
    mark: Mark
    aliases: tuple[str, ...]
    ships: tuple[Mark, str]
    checks: tuple[Check, ...]
    banner: Banner
    metrics: tuple[tuple[str, str, str], ...]
    champion: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    run_id: str
    run_name: str
    run_pipeline: int
    commit: str
    pipeline: int
    created_by: str
    at: float
    sha256: str
    loader: str
    files: tuple[FileLine, ...]
    more_files: int
    size_bytes: int
    graph: Graph
    verified: Verified | None
    environment: str
    endpoint: str


def list_models(services: Services) -> tuple[ModelLine, ...]:
    """Give every model as a row."""
    return tuple(_model_line(services, detail) for detail in catalog.list_models(services))


def get_model(services: Services, name: str) -> ModelPage:
    """Give a model's page.

    Raises:
        NotFound: There is no such model.
    """
    detail = catalog.get_model(services, name)
    keys = _keys(detail.versions)
    lines = tuple(_version_line(services, version, detail.aliases, keys) for version in detail.versions)
    champion = _champion(detail)
    return ModelPage(
        name=detail.model.name,
        project=detail.project,
        keys=keys,
        versions=lines,
        aliases=detail.aliases,
        banner=banner_of(services, champion.run_id) if champion else None,
        trend=_trend(detail.versions, keys, width=360, height=64),
        endpoints=_endpoints(services, name),
        badge=f"[![replay]({badge.address(services, name)})]({detail.url})",
    )


def get_version(services: Services, name: str, ref: str, *, verify: bool = False) -> VersionPage:
    """Give a version's page; `verify` checks signature and bytes now.

    Raises:
        NotFound: There is no such version.
    """
    store = services.store
    version = store.get_version(name, ref)
    detail = catalog.get_model(services, name)
    run = _run_of(services, version)
    verdicts = store.list_verdicts(version.run_id)
    checks = checks_of(services, version, verdicts, _stages(services, version), _serving(services, version))
    files = load_manifest(services, version.manifest) if version.manifest else Manifest(())
    champion = _champion(detail)
    return VersionPage(
        model=version.model,
        version=version.version,
        project=detail.project,
        mark=of_version(version.status),
        aliases=_aliases(version, detail.aliases),
        ships=answer(checks),
        checks=checks,
        banner=banner_of(services, version.run_id),
        metrics=tuple(_compared(version, champion)),
        champion=champion.version if champion else 0,
        inputs=version.signature.inputs if version.signature else (),
        outputs=version.signature.outputs if version.signature else (),
        run_id=version.run_id,
        run_name=run.name if run else "",
        run_pipeline=_earlier_pipeline(services, run, version),
        commit=str(version.facts.get("commit") or (run.commit if run else "")),
        pipeline=_pipeline_number(services, version),
        created_by=version.created_by,
        at=version.created_at,
        sha256=version.sha256,
        loader=version.loader,
        files=tuple(entry_line(entry) for entry in files.entries[:_MOST_FILES]),
        more_files=max(0, files.n_files - _MOST_FILES),
        size_bytes=files.size_bytes,
        graph=_graph(services, version),
        verified=_verified(services, version) if verify else None,
        environment=str(version.facts.get("environment_from", "")),
        endpoint=next(iter(_endpoints(services, name)), name) if is_deployable(checks) else "",
    )


def _files(found: dict[str, object]) -> str:
    return count(int(str(found["files"])), "file")


def _graph(services: Services, version: ModelVersion) -> Graph:
    label = f"Lineage of {version.model} v{version.version}"
    return draw_lineage(lineage.of_version(services, version), f"version:{version.id}", label)


def _verified(services: Services, version: ModelVersion) -> Verified:
    if not version.provenance:
        return Verified(Mark("✖", "not signed", "bad"), "It has no signed statement.")
    try:
        found = verify_version(services, version)
    except ReliveError as error:
        return Verified(Mark("✖", "does not verify", "bad"), error.what())
    key = str(found["key_id"])[:16]
    return Verified(
        Mark("✔", "verified", "good"),
        f"The statement is signed by key {key}…; every byte of {_files(found)} is as it says.",
    )


def _model_line(services: Services, detail: ModelDetail) -> ModelLine:
    keys = _keys(detail.versions)
    champion = _champion(detail)
    return ModelLine(
        name=detail.model.name,
        url=f"/m/{detail.model.name}",
        project=detail.project,
        versions=len(detail.versions),
        champion=_version_line(services, champion, detail.aliases, keys) if champion else None,
        endpoints=_endpoints(services, detail.model.name),
        keys=keys,
        trend=_trend(detail.versions, keys),
    )


def _version_line(
    services: Services, version: ModelVersion, aliases: Sequence[Alias], keys: Sequence[str]
) -> VersionLine:
    metrics = version.facts.get("metrics", {})
    return VersionLine(
        version=version.version,
        url=f"/m/{version.model}/v/{version.version}",
        mark=of_version(version.status),
        verdict=mark_of(services.store.list_verdicts(version.run_id)),
        aliases=_aliases(version, aliases),
        metrics=tuple(number(metrics[key]) if key in metrics else "–" for key in keys),
        run_id=version.run_id,
        commit=str(version.facts.get("commit", "")),
        pipeline=_pipeline_number(services, version),
        created_by=version.created_by,
        at=version.created_at,
    )


def _compared(version: ModelVersion, champion: ModelVersion | None) -> Iterator[tuple[str, str, str]]:
    other = champion.facts.get("metrics", {}) if champion and champion.id != version.id else {}
    for key, value in version.facts.get("metrics", {}).items():
        difference = signed(value - other[key]) if key in other else ""
        yield key, number(float(value)), difference


def _keys(versions: Sequence[ModelVersion]) -> tuple[str, ...]:
    found = dict.fromkeys(str(key) for version in versions for key in version.facts.get("metrics", {}))
    # What is better when it is larger comes first: accuracy before loss.
    return tuple(sorted(found, key=is_less_better)[:_MOST_METRICS])


def _trend(
    versions: Sequence[ModelVersion], keys: Sequence[str], *, width: int = 120, height: int = 28
) -> Spark | None:
    if not keys:
        return None
    key = keys[0]
    values = [
        Value(
            value=float(version.facts["metrics"][key]),
            title=f"v{version.version}: {key} {number(float(version.facts['metrics'][key]))}",
            url=f"/m/{version.model}/v/{version.version}",
        )
        for version in reversed(versions)
        if key in version.facts.get("metrics", {})
    ]
    return spark(values, f"{key} of {len(values)} versions", width=width, height=height)


def _champion(detail: ModelDetail) -> ModelVersion | None:
    at = next((alias.version for alias in detail.aliases if alias.alias == "champion"), None)
    return next((version for version in detail.versions if version.version == at), None)


def _run_of(services: Services, version: ModelVersion) -> Run | None:
    """Give the run that made a version; None if a client registered it from elsewhere."""
    try:
        return services.store.get_run(version.run_id) if version.run_id else None
    except NotFound:
        return None


def _aliases(version: ModelVersion, aliases: Sequence[Alias]) -> tuple[str, ...]:
    return tuple(alias.alias for alias in aliases if alias.version == version.version)


def _endpoints(services: Services, model: str) -> tuple[str, ...]:
    return tuple(endpoint.name for endpoint in services.store.list_endpoints() if endpoint.model == model)


def _serving(services: Services, version: ModelVersion) -> list[Endpoint]:
    store = services.store
    return [
        endpoint
        for endpoint in store.list_endpoints()
        if endpoint.model == version.model
        and endpoint.live
        and store.get_revision(endpoint.live).version_id == version.id
    ]


def _stages(services: Services, version: ModelVersion) -> list[Stage]:
    return services.store.list_stages(version.pipeline_id) if version.pipeline_id else []


def _pipeline_number(services: Services, version: ModelVersion) -> int:
    return _number(services, version.pipeline_id)


def _earlier_pipeline(services: Services, run: Run | None, version: ModelVersion) -> int:
    return _number(services, run.pipeline_id) if run and run.pipeline_id != version.pipeline_id else 0


def _number(services: Services, pipeline_id: str) -> int:
    try:
        return services.store.get_pipeline(pipeline_id).number if pipeline_id else 0
    except NotFound:
        return 0
