"""Traces and data sets for evaluation, taken out and brought in whole: see `wire.copies`."""

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT

from relive.core.access import Scope
from relive.core.evaluation import EvaluationRecord
from relive.core.project import Project
from relive.hub.http import HubRequest, allowed, caller_of, reader_of, services_of
from relive.hub.routes.runs import NEXT_PAGE
from relive.services import copying
from relive.services.projects import find_or_create
from relive.wire.copies import BringEvaluation, BringRecords, BringTraces, Brought, EvaluationCopy, TraceCopy

_RECORDS_A_PAGE = 1000


def _readable(request: HubRequest, name: str) -> Project:
    caller_of(request)
    project = services_of(request).store.get_project(name)
    reader_of(request, project.id)
    return project


def _target(request: HubRequest, name: str) -> Project:
    caller = allowed(request, Scope.MEMBER, "import traces and data sets for evaluation")
    return find_or_create(services_of(request), name, by=caller.name)


@get("/copies/traces", sync_to_thread=True, response_headers=[NEXT_PAGE])
def list_traces(
    request: HubRequest, project: FromQuery[str], after: FromQuery[str] = ""
) -> Response[list[TraceCopy]]:
    """Give traces of a project with all that is theirs, the newest first."""
    found, following = copying.list_traces(services_of(request), _readable(request, project), after=after)
    return Response(found, headers={NEXT_PAGE.name: following} if following else {})


@post("/copies/traces", sync_to_thread=True, status_code=HTTP_200_OK)
def bring_traces(request: HubRequest, data: JSONBody[BringTraces]) -> Brought:
    """Keep traces that another hub had, all or none; those that are here stay as they are."""
    return copying.bring_traces(services_of(request), _target(request, data.project), data.traces)


@get("/copies/evaluation", sync_to_thread=True)
def list_datasets(request: HubRequest, project: FromQuery[str]) -> list[EvaluationCopy]:
    """Give the data sets for evaluation of a project, without their records."""
    return copying.list_datasets(services_of(request), _readable(request, project))


@post("/copies/evaluation", sync_to_thread=True, status_code=HTTP_200_OK)
def bring_dataset(request: HubRequest, data: JSONBody[BringEvaluation]) -> Brought:
    """Keep a data set for evaluation that another hub had, still without its records."""
    return copying.bring_dataset(services_of(request), _target(request, data.project), data.copy)


@get("/copies/evaluation/{dataset_id:str}/records", sync_to_thread=True)
def list_records(
    request: HubRequest, dataset_id: FromPath[str], after: FromQuery[int] = 0
) -> list[EvaluationRecord]:
    """Give up to 1,000 records of a data set, in their order, from behind this number on."""
    caller_of(request)
    store = services_of(request).store
    dataset = store.get_evaluation_dataset(dataset_id)
    reader_of(request, dataset.project_id)
    return store.list_evaluation_records(dataset.id, after=max(0, after), limit=_RECORDS_A_PAGE)


@post("/copies/evaluation/{dataset_id:str}/records", sync_to_thread=True, status_code=HTTP_204_NO_CONTENT)
def bring_records(request: HubRequest, dataset_id: FromPath[str], data: JSONBody[BringRecords]) -> None:
    """Keep records of a data set, all or none; those that are there stay as they are."""
    allowed(request, Scope.MEMBER, "import traces and data sets for evaluation")
    copying.bring_records(services_of(request), dataset_id, data.records)


ROUTES = [list_traces, bring_traces, list_datasets, bring_dataset, list_records, bring_records]
