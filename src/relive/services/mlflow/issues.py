"""Problems that traces show, as MLflow's clients use them.

Source: mlflow.store.tracking.sqlalchemy_store, mlflow.server.handlers.
"""

from enum import StrEnum
from typing import Any, Final, TypeVar

from relive.core.access import Caller
from relive.core.review import Issue, IssueSeverity, IssueStatus
from relive.core.search_grammars import ISSUES
from relive.core.search_parser import parse_filter
from relive.errors import NotFound
from relive.ports.review import FoundIssue, Within
from relive.services.accounts import require_reader
from relive.services.context import Services
from relive.services.ids import new_id
from relive.services.mlflow.experiments import DEFAULT_EXPERIMENT, get_experiment, own_project
from relive.services.mlflow.faults import invalid, missing
from relive.services.mlflow.labels import active_experiment
from relive.services.mlflow.pages import a_page, reply
from relive.services.mlflow.rights import maker_name, may_read, require_maker
from relive.services.mlflow.search import MOST
from relive.services.mlflow.values import milliseconds
from relive.wire.mlflow import review as wire

_LONGEST_NAME: Final = 250  # what MLflow's own table has room for
Word = TypeVar("Word", bound=StrEnum)


def create_issue(services: Services, message: wire.CreateIssue, caller: Caller) -> dict[str, Any]:
    """Note a problem.

    Raises:
        MlflowFault: It is none, or there is no such run or experiment, or the experiment is deleted.
        AccessDenied: A command names an experiment or a run of another project.
    """
    status, severity = _word(message.status, IssueStatus), _word(message.severity, IssueSeverity)
    _check_name(message.name)
    experiment = active_experiment(services, message.experiment_id, caller)
    if message.source_run_id:
        _check_run(services, message.source_run_id, caller)
    made = services.store.create_issue(
        Issue(
            id=f"iss-{new_id()}",
            experiment_id=experiment.id,
            name=message.name,
            description=message.description,
            status=status or IssueStatus.PENDING,
            severity=severity,
            root_causes=message.root_causes,
            source_run_id=message.source_run_id,
            categories=message.categories,
            author=message.created_by,
            created_by=maker_name(caller),
        )
    )
    return _json(FoundIssue(made))


def get_issue(services: Services, issue_id: str, caller: Caller) -> dict[str, Any]:
    """Give an issue.

    Raises:
        MlflowFault: There is none.
        AccessDenied: A command asks for one of another project.
    """
    return _json(FoundIssue(_found(services, issue_id, caller)))


def update_issue(services: Services, message: wire.UpdateIssue, caller: Caller) -> dict[str, Any]:
    """Change what is named of an issue.

    Raises:
        MlflowFault: There is none, or a word is none, or its name is too long.
        AccessDenied: It is another's.
    """
    said = {
        "status": _word(message.status, IssueStatus),
        "severity": _word(message.severity, IssueSeverity),
        "name": message.name or None,
        "description": message.description or None,
    }
    _check_name(message.name or "")
    issue = _found(services, message.issue_id, caller)
    require_maker(caller, issue.created_by, "change an issue")
    changes = {field: value for field, value in said.items() if value is not None}
    changed = services.store.set_issue(issue.id, **changes, updated_at=services.store.now())
    return _json(FoundIssue(changed))


def search_issues(services: Services, message: wire.SearchIssues, caller: Caller) -> dict[str, Any]:
    """Give a page of issues, the worst first, then those that most traces show, if that is asked.

    Raises:
        MlflowFault: A page that cannot be given.
        InvalidFilter: The filter cannot be read.
    """
    _check_page(message.max_results)
    condition = parse_filter(message.filter_string, ISSUES)
    experiment_id = message.experiment_id
    if experiment_id == DEFAULT_EXPERIMENT:
        experiment_id = get_experiment(services, experiment_id, caller).id
    within = Within(experiment_id=experiment_id, project_id=own_project(caller))
    page, token = a_page(
        message.max_results,
        message.page_token,
        lambda offset, limit: services.store.search_issues(
            within, condition, count=message.include_trace_count, offset=offset, limit=limit
        ),
    )
    return reply("issues", [_json(found) for found in page], token)


def _found(services: Services, issue_id: str, caller: Caller) -> Issue:
    try:
        issue = services.store.get_issue(issue_id)
    except NotFound:
        raise missing(f"Issue with ID '{issue_id}' not found") from None
    require_reader(caller, services.store.get_experiment(issue.experiment_id).project_id)
    return issue


def _check_run(services: Services, run_id: str, caller: Caller) -> None:
    run = services.store.find_run(run_id)
    if run is None or not may_read(caller, run.project_id):
        raise missing(f"Run with id={run_id} not found")


def _check_name(name: str) -> None:
    if len(name) > _LONGEST_NAME:
        raise invalid(f"Issue `name` must be at most {_LONGEST_NAME} characters; got {len(name)}.")


def _word(said: str | None, words: type[Word]) -> Word | None:
    """Read a status or a severity; None if none is named."""
    if said is None:
        return None
    try:
        return words(said)
    except ValueError:
        field = words.__name__.removeprefix("Issue").lower()
        raise invalid(
            f"Issue `{field}` must be one of {[word.value for word in words]}; got {said!r}."
        ) from None


def _check_page(limit: int) -> None:
    if not 1 <= limit <= MOST:
        wanted = "It must be a positive integer" if limit < 1 else f"It must be at most {MOST}"
        raise invalid(f"Invalid value {limit} for parameter 'max_results' supplied. {wanted}")


def _json(found: FoundIssue) -> dict[str, Any]:
    issue = found.issue
    optional = {
        "severity": issue.severity and issue.severity.value,
        "root_causes": list(issue.root_causes),
        "source_run_id": issue.source_run_id,
        "categories": list(issue.categories),
        "created_by": issue.author,
    }
    written: dict[str, Any] = {
        "issue_id": issue.id,
        "experiment_id": issue.experiment_id,
        "name": issue.name,
        "description": issue.description,
        "status": issue.status.value,
        "created_timestamp": milliseconds(issue.created_at),
        "last_updated_timestamp": milliseconds(issue.updated_at),
    }
    written |= {field: value for field, value in optional.items() if value}
    return written if found.traces is None else written | {"trace_count": found.traces}
