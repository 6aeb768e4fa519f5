"""Reading what is registered and served, as pages and clients want it."""

from collections.abc import Iterator, Sequence

from relive.core.endpoint import Endpoint
from relive.core.model import ModelVersion, RegisteredModel
from relive.core.project import Project
from relive.core.trajectory import Verdict, latest_verdict
from relive.services.context import Services
from relive.wire.hub import EndpointDetail, ModelDetail, ProjectDetail


def project_detail(services: Services, project: Project, *, with_roots: bool = False) -> ProjectDetail:
    """Give a project with the addresses people need; its first commits cost a walk over its history."""
    base = services.place.public_url
    is_asked = with_roots and services.repositories.exists(project.name)
    return ProjectDetail(
        project=project,
        git_url=f"{base}/git/{project.name}.git",
        url=f"{base}/p/{project.name}",
        roots=tuple(services.repositories.roots(project.name)) if is_asked else (),
    )


def list_models(services: Services, *, project: str = "") -> list[ModelDetail]:
    """List registered models with their versions."""
    project_id = services.store.get_project(project).id if project else None
    return [_model(services, model) for model in services.store.list_models(project_id)]


def get_model(services: Services, name: str) -> ModelDetail:
    """Give a model with its versions and aliases."""
    return _model(services, services.store.get_model(name))


def list_endpoints(services: Services, *, project: str = "") -> list[EndpointDetail]:
    """List endpoints with their revisions."""
    project_id = services.store.get_project(project).id if project else None
    return [_endpoint(services, endpoint) for endpoint in services.store.list_endpoints(project_id)]


def get_endpoint(services: Services, name: str) -> EndpointDetail:
    """Give an endpoint with its revisions."""
    return _endpoint(services, services.store.get_endpoint(name))


def _model(services: Services, model: RegisteredModel) -> ModelDetail:
    store = services.store
    versions = sorted(store.list_versions(model.name), key=lambda version: -version.version)
    return ModelDetail(
        model=model,
        project=store.get_project(model.project_id).name,
        url=f"{services.place.public_url}/m/{model.name}",
        versions=tuple(versions),
        aliases=tuple(store.list_aliases(model.name)),
        verdicts=dict(_verdicts(services, versions)),
    )


def _verdicts(services: Services, versions: Sequence[ModelVersion]) -> Iterator[tuple[int, Verdict]]:
    found = services.store.list_verdicts_of([it.run_id for it in versions if it.run_id])
    for version in versions:
        last = latest_verdict(found.get(version.run_id, ()))
        if last is not None:
            yield version.version, last


def _endpoint(services: Services, endpoint: Endpoint) -> EndpointDetail:
    store, base = services.store, services.place.public_url
    revisions = sorted(store.list_revisions(endpoint.id), key=lambda revision: -revision.number)
    return EndpointDetail(
        endpoint=endpoint,
        project=store.get_project(endpoint.project_id).name,
        url=f"{base}/e/{endpoint.name}",
        infer_url=f"{base}/v2/models/{endpoint.name}/infer",
        revisions=tuple(revisions),
    )
