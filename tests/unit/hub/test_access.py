"""Who may do what: every route of the API with every kind of caller."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from relive.core.access import Scope
from relive.core.artifact import Manifest
from relive.core.dataset import Dataset, DatasetVersion
from relive.core.evaluation import EvaluationDataset
from relive.core.logged_model import LoggedModel
from relive.core.review import Issue, LabelKind, LabelSchema, QueueKind, ReviewQueue
from relive.core.run import Artifact
from relive.core.trace import Assessment, AssessmentKind, Trace
from relive.core.webhook import Webhook
from relive.forges.github import GitHub
from relive.formats.layout import Layout, Pack
from relive.hub.api import build_api
from relive.hub.config import HubConfig
from relive.hub.routes.mlflow import calls as mlflow
from relive.hub.vault import FileVault
from relive.services.accounts import create_job_token
from relive.services.forging import Forging
from relive.services.ids import new_id
from tests.support.bench import Bench, open_bench, quick_folder
from tests.support.live import Answer, LiveHub, served

PIPELINE = "version: 1\nstages:\n  train: {cmd: python train.py, deps: [train.py]}\n"
NOTHING = "blake3:" + "0" * 64
FILES = {"relive.yaml": PIPELINE, "train.py": "1"}

# Who is let in, by the first letter: nobody, command, runner, local, member, admin.
# A command and a runner stand before what is of their own project here; see below for what is of another.
EVERYONE, KNOWN, CLIENTS, PEOPLE, MEMBERS, ADMINS = "ncrlma", "crlma", "clma", "lma", "ma", "a"
TABLE: dict[str, str] = {
    "GET /health": EVERYONE,
    "POST /webhooks/{kind:str}": EVERYONE,  # its signature is its login
    "GET /api/v1/info": KNOWN,
    "GET /api/v1/keys": EVERYONE,
    "POST /api/v1/keys/rotate": ADMINS,
    "GET /api/v1/relive.schema.json": EVERYONE,
    "GET /api/v1/schema": EVERYONE,
    "GET /api/v1/schema/{path:str}": EVERYONE,
    "GET /api/v1/schema/openapi.json": EVERYONE,
    "GET /api/v1/projects": PEOPLE,
    "POST /api/v1/projects": MEMBERS,
    "GET /api/v1/projects/{name:str}": KNOWN,
    "DELETE /api/v1/projects/{name:str}": MEMBERS,
    "POST /api/v1/projects/{name:str}/follow": ADMINS,
    "GET /api/v1/projects/{name:str}/replays": KNOWN,
    "POST /api/v1/projects/{name:str}/replays": MEMBERS,
    "GET /api/v1/pools": PEOPLE,
    "POST /api/v1/pools": ADMINS,
    "DELETE /api/v1/pools/{name:str}": ADMINS,
    "GET /api/v1/sql": ADMINS,
    "POST /api/v1/sql": ADMINS,
    "GET /api/v1/events": PEOPLE,
    "GET /api/v1/tokens": MEMBERS,
    "POST /api/v1/tokens": MEMBERS,
    "DELETE /api/v1/tokens/{token_id:str}": MEMBERS,
    "POST /api/v1/login-link": MEMBERS,
    "POST /api/v1/gc": ADMINS,
    "POST /api/v1/blobs/missing": "crlma",
    "PUT /api/v1/blobs/{digest:str}": "crlma",
    "POST /api/v1/blobs/{digest:str}/adopt": "crlma",
    "POST /api/v1/blobs/{digest:str}/upload": "crlma",
    "PUT /api/v1/blobs/{digest:str}/upload/{number:int}": "crlma",
    "POST /api/v1/blobs/{digest:str}/upload/finish": "crlma",
    "GET /api/v1/blobs/{digest:str}": "rlma",
    "HEAD /api/v1/blobs/{digest:str}": "rlma",
    "GET /api/v1/jobs": PEOPLE,
    "POST /api/v1/jobs/{job_id:str}/token": EVERYONE,  # its ticket is its login
    "GET /api/v1/jobs/{job_id:str}/spec": "r",
    "POST /api/v1/jobs/{job_id:str}/heartbeat": "r",
    "POST /api/v1/jobs/{job_id:str}/progress": "r",
    "POST /api/v1/jobs/{job_id:str}/log": "r",
    "POST /api/v1/jobs/{job_id:str}/records": "r",
    "POST /api/v1/jobs/{job_id:str}/trials": "r",
    "POST /api/v1/jobs/{job_id:str}/finish": "r",
    "GET /api/v1/webhooks": MEMBERS,
    "GET /api/v1/webhooks/deliveries": MEMBERS,
    "GET /api/v1/datasets": KNOWN,
    "POST /api/v1/datasets": CLIENTS,
    "GET /api/v1/datasets/{name:str}": KNOWN,
    "GET /api/v1/datasets/{name:str}/versions/{ref:str}": KNOWN,
    "GET /api/v1/datasets/{name:str}/versions/{ref:str}/manifest": KNOWN,
    "GET /api/v1/datasets/{name:str}/versions/{ref:str}/layout": KNOWN,
    "GET /api/v1/datasets/{name:str}/versions/{ref:str}/packs/{digest:str}": KNOWN,
    "POST /api/v1/datasets/{name:str}/versions/{ref:str}/check": CLIENTS,
    "DELETE /api/v1/datasets/{name:str}/versions/{ref:str}": MEMBERS,
    "GET /api/v1/models": KNOWN,
    "GET /api/v1/models/{name:str}": KNOWN,
    "GET /api/v1/models/{name:str}/badge.svg": KNOWN,  # and who has the key of its address
    "GET /api/v1/models/{name:str}/versions/{ref:str}": KNOWN,
    "GET /api/v1/models/{name:str}/versions/{ref:str}/provenance": KNOWN,
    "GET /api/v1/models/{name:str}/versions/{ref:str}/sbom": KNOWN,
    "POST /api/v1/models/{name:str}/versions/{ref:str}/verify": KNOWN,
    "POST /api/v1/models/{name:str}/aliases": MEMBERS,
    "GET /api/v1/endpoints": KNOWN,
    "GET /api/v1/endpoints/{name:str}": KNOWN,
    "POST /api/v1/endpoints/{name:str}/deploy": MEMBERS,
    "POST /api/v1/endpoints/{name:str}/rollback": MEMBERS,
    "POST /api/v1/endpoints/{name:str}/cancel": MEMBERS,
    "DELETE /api/v1/endpoints/{name:str}": MEMBERS,
    "GET /api/v1/pipelines": KNOWN,
    "POST /api/v1/pipelines": MEMBERS,
    "GET /api/v1/pipelines/{ref:str}": KNOWN,
    "POST /api/v1/pipelines/{ref:str}/cancel": MEMBERS,
    "GET /api/v1/pipelines/{ref:str}/why": KNOWN,
    "GET /api/v1/runs": KNOWN,
    "POST /api/v1/runs": CLIENTS,
    "GET /api/v1/runs/{run_id:str}": KNOWN,
    "POST /api/v1/runs/{run_id:str}/heartbeat": "cma",
    "POST /api/v1/runs/{run_id:str}/progress": "cma",
    "POST /api/v1/runs/{run_id:str}/log": "cma",
    "POST /api/v1/runs/{run_id:str}/records": "cma",
    "POST /api/v1/runs/{run_id:str}/finish": "cma",
    "POST /api/v1/runs/{run_id:str}/cancel": MEMBERS,
    "POST /api/v1/runs/{run_id:str}/tags": "cma",
    "GET /api/v1/runs/{run_id:str}/metrics": KNOWN,
    "GET /api/v1/runs/{run_id:str}/metrics/{key:path}": KNOWN,
    "GET /api/v1/runs/{run_id:str}/log": KNOWN,
    "GET /api/v1/runs/{run_id:str}/recipe": KNOWN,
    "GET /api/v1/runs/{run_id:str}/file": KNOWN,
    "GET /api/v1/copies/traces": KNOWN,
    "POST /api/v1/copies/traces": MEMBERS,
    "GET /api/v1/copies/evaluation": KNOWN,
    "POST /api/v1/copies/evaluation": MEMBERS,
    "GET /api/v1/copies/evaluation/{dataset_id:str}/records": KNOWN,
    "POST /api/v1/copies/evaluation/{dataset_id:str}/records": MEMBERS,
    "GET /api/v1/traces": KNOWN,
    "GET /api/v1/traces/{trace_id:str}": KNOWN,
    "POST /api/v1/runs/{run_id:str}/replay": MEMBERS,
    "POST /api/v1/runs/{run_id:str}/why": MEMBERS,
    "POST /api/v1/runs/{run_id:str}/verdicts": MEMBERS,
    "GET /api/2.0/mlflow-artifacts/artifacts": CLIENTS,
    "PUT /api/2.0/mlflow-artifacts/artifacts/{path:path}": "cma",
    "GET /api/2.0/mlflow-artifacts/artifacts/{path:path}": CLIENTS,
    "DELETE /api/2.0/mlflow-artifacts/artifacts/{path:path}": "cma",
    "POST /api/2.0/mlflow-artifacts/mpu/create/{path:path}": "cma",
    "PUT /api/2.0/mlflow-artifacts/mpu/part/{upload_id:str}/{number:int}": EVERYONE,  # its id is its login
    "POST /api/2.0/mlflow-artifacts/mpu/complete/{path:path}": "cma",
    "POST /api/2.0/mlflow-artifacts/mpu/abort/{path:path}": "cma",
    "GET /api/2.0/mlflow-artifacts/presigned/{path:path}": CLIENTS,
}
# MLflow's calls lie behind one route; each is asked by its own name.
MLFLOW = {
    "GET experiments/get?experiment_id={experiment}": CLIENTS,
    "GET experiments/get-by-name?experiment_name=digits": CLIENTS,
    "POST experiments/create": CLIENTS,
    "POST experiments/update": MEMBERS,
    "POST experiments/set-experiment-tag": MEMBERS,
    "POST experiments/delete-experiment-tag": MEMBERS,
    "POST experiments/delete": MEMBERS,
    "POST experiments/restore": MEMBERS,
    "POST experiments/search-datasets": CLIENTS,
    "GET experiments/search?max_results=1": CLIENTS,
    "POST experiments/search": CLIENTS,
    "POST runs/search": CLIENTS,
    "POST runs/create": CLIENTS,
    "POST runs/create-promptlab-run": CLIENTS,
    "GET runs/get?run_id={run_id}": CLIENTS,
    "POST runs/update": "cma",
    "POST runs/delete": MEMBERS,
    "POST runs/restore": MEMBERS,
    "POST runs/log-inputs": "cma",
    "POST runs/outputs": "cma",
    "POST runs/log-model": "cma",
    "POST runs/log-metric": "cma",
    "POST runs/log-parameter": "cma",
    "POST runs/log-batch": "cma",
    "POST runs/set-tag": "cma",
    "POST runs/delete-tag": "cma",
    "GET metrics/get-history?run_id={run_id}&metric_key=loss": CLIENTS,
    "GET metrics/get-history-bulk?run_id={run_id}&metric_key=loss": CLIENTS,
    "GET metrics/get-history-bulk-interval?run_ids={run_id}&metric_key=loss": CLIENTS,
    "GET server-info": CLIENTS,
    "GET artifacts/list?run_id={run_id}": CLIENTS,
    "POST webhooks": PEOPLE,
    "GET webhooks": PEOPLE,
    "GET webhooks/{webhook_id}": PEOPLE,
    "PATCH webhooks/{webhook_id}": MEMBERS,
    "POST webhooks/{webhook_id}/test": MEMBERS,
    "DELETE webhooks/{webhook_id}": MEMBERS,
    "POST artifacts/presigned-upload-url": CLIENTS,
    "POST artifacts/presigned-download-url": CLIENTS,
    "POST logged-models": CLIENTS,
    "POST logged-models/search": CLIENTS,
    "GET logged-models/{model_id}": CLIENTS,
    "GET logged-models/{model_id}/artifacts/directories": CLIENTS,
    "PATCH logged-models/{model_id}": "cma",
    "POST logged-models/{model_id}/params": "cma",
    "PATCH logged-models/{model_id}/tags": "cma",
    "DELETE logged-models/{model_id}/tags/{tag_key}": "cma",
    "DELETE logged-models/{model_id}": "cma",
    "POST registered-models/create": CLIENTS,
    "GET registered-models/get?name=digits": CLIENTS,
    "GET registered-models/search": CLIENTS,
    "GET registered-models/get-latest-versions?name=digits": CLIENTS,
    "POST registered-models/get-latest-versions": CLIENTS,
    "GET registered-models/alias?name=digits&alias=none": CLIENTS,
    "POST registered-models/alias": MEMBERS,
    "DELETE registered-models/alias": MEMBERS,
    "POST registered-models/set-tag": MEMBERS,
    "DELETE registered-models/delete-tag": MEMBERS,
    "PATCH registered-models/update": MEMBERS,
    "POST registered-models/rename": MEMBERS,
    "DELETE registered-models/delete": MEMBERS,
    "POST model-versions/create": CLIENTS,
    "GET model-versions/get?name=digits&version=1": CLIENTS,
    "GET model-versions/get-download-uri?name=digits&version=1": CLIENTS,
    "GET model-versions/search": CLIENTS,
    "POST model-versions/transition-stage": MEMBERS,
    "POST model-versions/set-tag": MEMBERS,
    "DELETE model-versions/delete-tag": MEMBERS,
    "PATCH model-versions/update": MEMBERS,
    "DELETE model-versions/delete": MEMBERS,
    "POST datasets/create": CLIENTS,
    "GET datasets/search": CLIENTS,
    "POST datasets/search": CLIENTS,
    "GET datasets/{dataset_id}": CLIENTS,
    "GET datasets/{dataset_id}/records": CLIENTS,
    "GET datasets/{dataset_id}/experiment-ids": CLIENTS,
    "PATCH datasets/{dataset_id}/tags": MEMBERS,
    "DELETE datasets/{dataset_id}/tags/{key}": MEMBERS,
    "POST datasets/{dataset_id}/records": MEMBERS,
    "DELETE datasets/{dataset_id}/records": MEMBERS,
    "POST datasets/{dataset_id}/add-experiments": MEMBERS,
    "POST datasets/{dataset_id}/remove-experiments": MEMBERS,
    "DELETE datasets/{dataset_id}": MEMBERS,
    "POST scorers/register": CLIENTS,
    "GET scorers/list?experiment_id={experiment}": CLIENTS,
    "GET scorers/versions?experiment_id={experiment}&name=exact": CLIENTS,
    "GET scorers/get?experiment_id={experiment}&name=exact": CLIENTS,
    "GET scorers/online-configs?scorer_ids=none": CLIENTS,
    "DELETE scorers/delete": MEMBERS,
    "POST label-schemas/create": CLIENTS,
    "GET label-schemas/get?schema_id=ls-1": CLIENTS,
    "GET label-schemas/get-by-name?experiment_id={experiment}&name=good": CLIENTS,
    "GET label-schemas/list?experiment_id={experiment}": CLIENTS,
    "PATCH label-schemas/update": MEMBERS,
    "DELETE label-schemas/delete": MEMBERS,
    "POST review-queues/create": CLIENTS,
    "POST review-queues/get-or-create-user": CLIENTS,
    "GET review-queues/get?queue_id=rq-1": CLIENTS,
    "GET review-queues/get-by-name?experiment_id={experiment}&name=mine": CLIENTS,
    "GET review-queues/list?experiment_id={experiment}": CLIENTS,
    "GET review-queues/items/list?queue_id=rq-1": CLIENTS,
    "POST review-queues/items/add": MEMBERS,
    "POST review-queues/items/set-status": MEMBERS,
    "POST review-queues/items/remove": MEMBERS,
    "POST review-queues/update": MEMBERS,
    "POST review-queues/delete": MEMBERS,
    "POST issues": CLIENTS,
    "GET issues/{issue_id}": CLIENTS,
    "PATCH issues/{issue_id}": MEMBERS,
    "POST issues/search": CLIENTS,
    "POST traces": CLIENTS,
    "GET traces?experiment_ids={experiment}": CLIENTS,
    "GET traces/{request_id}/info": CLIENTS,
    "GET traces/get?trace_id={trace_id}&allow_partial=true": CLIENTS,
    "GET traces/batchGet?trace_ids={trace_id}": CLIENTS,
    "POST traces/batchGetInfos": CLIENTS,
    "POST traces/search": CLIENTS,
    "POST traces/calculate-filter-correlation": CLIENTS,
    "POST traces/metrics": CLIENTS,
    "POST traces/link-to-run": CLIENTS,
    "GET traces/{trace_id}": CLIENTS,
    "POST traces/{trace_id}/assessments": CLIENTS,
    "GET traces/{trace_id}/assessments/{assessment_id}": CLIENTS,
    "PATCH traces/{trace_id}/assessments/{assessment_id}": MEMBERS,
    "PATCH traces/{request_id}": MEMBERS,
    "POST traces/link-prompts": MEMBERS,
    "PATCH traces/{trace_id}/tags": MEMBERS,
    "DELETE traces/{trace_id}/tags": MEMBERS,
    "DELETE traces/{trace_id}/assessments/{assessment_id}": MEMBERS,
    "POST traces/delete-traces": MEMBERS,
}
CALLERS = ("nobody", "command", "runner", "local", "member", "admin")


@dataclass
class World:
    """A hub with one of everything, and a token of each kind of caller."""

    live: LiveHub
    names: dict[str, str]
    tokens: dict[str, str] = field(default_factory=dict)

    def ask(self, caller: str, route: str) -> Answer:
        """Send the least that the route takes."""
        method, path = route.split(" ", 1)
        for name, value in self.names.items():
            path = path.replace("{" + name + "}", value)
        message = BODIES.get(route.partition("?")[0], {})
        text = json.dumps(message).replace("RUN", self.names["run_id:str"])
        filled = json.loads(text.replace("EXPERIMENT", self.names["experiment"]))
        sends = None if method in ("GET", "HEAD") or (method == "DELETE" and not message) else filled
        return self.live.ask(method, path, sends, token=self.tokens[caller])


DIGITS = {"name": "digits"}
EVENTS = [{"entity": "PROMPT", "action": "CREATED"}]
EXACT = {"experiment_id": "EXPERIMENT", "name": "exact"}
GOOD = {"experiment_id": "EXPERIMENT", "name": "good"}
QUEUE = {"queue_id": "rq-1"}
DONE = {"item_id": "tr-1", "status": "COMPLETE", "completed_by": "bob"}
TRACES = "/api/2.0/mlflow/traces"
JUDGED = {"assessment": {"assessment_name": "ok", "feedback": {"value": True}}}
BODIES: dict[str, object] = {
    f"POST {TRACES}": {"experiment_id": "EXPERIMENT", "timestamp_ms": 1},
    f"POST {TRACES}/batchGetInfos": {"trace_ids": ["tr-1"]},
    f"POST {TRACES}/search": {"locations": [{"mlflow_experiment": {"experiment_id": "EXPERIMENT"}}]},
    f"POST {TRACES}/calculate-filter-correlation": {
        "experiment_ids": ["EXPERIMENT"],
        "filter_string1": "name = 'a'",
        "filter_string2": "name = 'b'",
    },
    f"POST {TRACES}/metrics": {
        "experiment_ids": ["EXPERIMENT"],
        "view_type": "TRACES",
        "metric_name": "trace_count",
        "aggregations": [{"aggregation_type": "COUNT"}],
    },
    f"POST {TRACES}/link-to-run": {"run_id": "RUN", "trace_ids": ["tr-1"]},
    f"POST {TRACES}/link-prompts": {"trace_id": "tr-1", "prompt_versions": [{"name": "p", "version": "1"}]},
    f"POST {TRACES}/{{trace_id}}/assessments": JUDGED,
    f"PATCH {TRACES}/{{trace_id}}/assessments/{{assessment_id}}": JUDGED | {"update_mask": "rationale"},
    f"PATCH {TRACES}/{{trace_id}}/tags": {"key": "a", "value": "b"},
    f"DELETE {TRACES}/{{trace_id}}/tags": {"key": "a"},
    f"POST {TRACES}/delete-traces": {"experiment_id": "EXPERIMENT", "request_ids": ["tr-1"]},
    "POST /api/2.0/mlflow/datasets/create": {"name": "x"},
    "POST /api/2.0/mlflow/datasets/search": {"max_results": 1},
    "POST /api/2.0/mlflow/datasets/{dataset_id}/records": {"records": "[]"},
    "PATCH /api/2.0/mlflow/datasets/{dataset_id}/tags": {"tags": "{}"},
    "POST /api/2.0/mlflow/scorers/register": EXACT | {"serialized_scorer": "{}"},
    "DELETE /api/2.0/mlflow/scorers/delete": EXACT,
    "POST /api/2.0/mlflow/label-schemas/create": GOOD | {"type": 1, "input": {"text": {}}},
    "PATCH /api/2.0/mlflow/label-schemas/update": {"schema_id": "ls-1"},
    "DELETE /api/2.0/mlflow/label-schemas/delete": {"schema_id": "ls-1"},
    "POST /api/2.0/mlflow/review-queues/create": GOOD | {"queue_type": 2},
    "POST /api/2.0/mlflow/review-queues/get-or-create-user": {"experiment_id": "EXPERIMENT", "user": "bob"},
    "POST /api/2.0/mlflow/review-queues/update": QUEUE,
    "POST /api/2.0/mlflow/review-queues/delete": QUEUE,
    "POST /api/2.0/mlflow/review-queues/items/add": QUEUE | {"item_ids": ["tr-1"]},
    "POST /api/2.0/mlflow/review-queues/items/remove": QUEUE | {"item_ids": ["tr-2"]},
    "POST /api/2.0/mlflow/review-queues/items/set-status": QUEUE | DONE,
    "POST /api/2.0/mlflow/issues": GOOD | {"description": "x"},
    "POST /api/2.0/mlflow/issues/search": {"experiment_id": "EXPERIMENT"},
    "POST /api/2.0/mlflow-artifacts/mpu/create/{path:path}": {"path": "x"},
    "POST /api/2.0/mlflow-artifacts/mpu/complete/{path:path}": {"path": "x", "upload_id": "UPLOAD"},
    "POST /api/2.0/mlflow-artifacts/mpu/abort/{path:path}": {"path": "x", "upload_id": "UPLOAD"},
    "POST /api/v1/datasets": {"name": "none", "project": "digits", "digest": NOTHING, "layout": NOTHING},
    "POST /api/v1/projects": {"name": "digits"},
    "POST /api/v1/projects/{name:str}/follow": {"url": "x"},
    "POST /api/v1/blobs/missing": {"digests": []},
    "POST /api/v1/blobs/{digest:str}/upload": {"size_bytes": 5},
    "POST /api/v1/blobs/{digest:str}/upload/finish": {"size_bytes": 5},
    "POST /api/v1/runs": {"project": "digits"},
    "POST /api/v1/tokens": {"label": "x"},
    "POST /api/v1/pools": {"name": "local", "executor": "local"},
    "POST /api/v1/sql": {"query": "SELECT 1"},
    "POST /api/v1/copies/traces": {"project": "digits", "traces": []},
    "POST /api/v1/copies/evaluation": {
        "project": "digits",
        "copy": {"dataset": {"id": "d-9", "project_id": "", "name": "q", "digest": "0"}},
    },
    "POST /api/v1/copies/evaluation/{dataset_id:str}/records": {"records": []},
    "POST /api/v1/pipelines": {"project": "digits"},
    "POST /api/v1/endpoints/{name:str}/deploy": {"model": "digits", "ref": "1"},
    "POST /api/v1/models/{name:str}/aliases": {"alias": "x", "version": 1},
    "POST /api/v1/runs/{run_id:str}/tags": {"tags": {}},
    "POST /api/v1/runs/{run_id:str}/why": {"after": "none"},
    "POST /api/v1/runs/{run_id:str}/heartbeat": {"fence": 0},
    "POST /api/v1/jobs/{job_id:str}/heartbeat": {"fence": 1},
    "POST /api/2.0/mlflow/runs/log-metric": {"run_id": "RUN", "key": "a", "value": 1, "timestamp": 0},
    "POST /api/2.0/mlflow/runs/log-parameter": {"run_id": "RUN", "key": "a", "value": "1"},
    "POST /api/2.0/mlflow/runs/set-tag": {"run_id": "RUN", "key": "a", "value": "1"},
    "POST /api/2.0/mlflow/runs/delete-tag": {"run_id": "RUN", "key": "a"},
    "POST /api/2.0/mlflow/runs/log-batch": {"run_id": "RUN"},
    "POST /api/2.0/mlflow/runs/update": {"run_id": "RUN", "run_name": "x"},
    "POST /api/2.0/mlflow/experiments/create": {"name": "tries"},
    "POST /api/2.0/mlflow/experiments/update": {"experiment_id": "EXPERIMENT", "new_name": "digits"},
    "POST /api/2.0/mlflow/experiments/set-experiment-tag": {"experiment_id": "EXPERIMENT", "key": "a"},
    "POST /api/2.0/mlflow/experiments/delete-experiment-tag": {"experiment_id": "EXPERIMENT", "key": "a"},
    "POST /api/2.0/mlflow/experiments/delete": {"experiment_id": "EXPERIMENT"},
    "POST /api/2.0/mlflow/experiments/restore": {"experiment_id": "EXPERIMENT"},
    "POST /api/2.0/mlflow/experiments/search-datasets": {"experiment_ids": ["EXPERIMENT"]},
    "POST /api/2.0/mlflow/experiments/search": {"max_results": 1},
    "POST /api/2.0/mlflow/runs/search": {"experiment_ids": ["EXPERIMENT"]},
    "POST /api/2.0/mlflow/runs/delete": {"run_id": "RUN"},
    "POST /api/2.0/mlflow/runs/restore": {"run_id": "RUN"},
    "POST /api/2.0/mlflow/runs/log-inputs": {"run_id": "RUN"},
    "POST /api/2.0/mlflow/runs/outputs": {"run_id": "RUN", "models": []},
    "POST /api/2.0/mlflow/webhooks": {"name": "x", "url": "x", "events": EVENTS},
    "POST /api/2.0/mlflow/artifacts/presigned-upload-url": {"run_id": "RUN", "path": "x"},
    "POST /api/2.0/mlflow/artifacts/presigned-download-url": {"run_id": "RUN", "path": "x"},
    "POST /api/2.0/mlflow/logged-models": {"experiment_id": "EXPERIMENT"},
    "POST /api/2.0/mlflow/logged-models/search": {"experiment_ids": ["EXPERIMENT"]},
    "PATCH /api/2.0/mlflow/logged-models/{model_id}": {"status": "LOGGED_MODEL_READY"},
    "POST /api/2.0/mlflow/registered-models/create": {"name": "other"},
    "POST /api/2.0/mlflow/registered-models/get-latest-versions": DIGITS,
    "POST /api/2.0/mlflow/registered-models/alias": DIGITS | {"alias": "x", "version": "1"},
    "DELETE /api/2.0/mlflow/registered-models/alias": DIGITS | {"alias": "x"},
    "POST /api/2.0/mlflow/registered-models/set-tag": DIGITS | {"key": "a"},
    "DELETE /api/2.0/mlflow/registered-models/delete-tag": DIGITS | {"key": "a"},
    "PATCH /api/2.0/mlflow/registered-models/update": DIGITS,
    "POST /api/2.0/mlflow/registered-models/rename": DIGITS | {"new_name": "digits"},
    "DELETE /api/2.0/mlflow/registered-models/delete": DIGITS,
    "POST /api/2.0/mlflow/model-versions/create": DIGITS | {"source": "s3://bucket/model"},
    "POST /api/2.0/mlflow/model-versions/transition-stage": DIGITS | {"version": "1", "stage": "None"},
    "POST /api/2.0/mlflow/model-versions/set-tag": DIGITS | {"version": "1", "key": "a"},
    "DELETE /api/2.0/mlflow/model-versions/delete-tag": DIGITS | {"version": "1", "key": "a"},
    "PATCH /api/2.0/mlflow/model-versions/update": DIGITS | {"version": "1"},
    "DELETE /api/2.0/mlflow/model-versions/delete": DIGITS | {"version": "1"},
    "POST /api/2.0/mlflow/runs/log-model": {
        "run_id": "RUN",
        "model_json": '{"artifact_path": "m", "flavors": {}, "utc_time_created": "", "run_id": ""}',
    },
}


def a_dataset(bench: Bench, project_id: str) -> None:
    """Make a data set whose only pack is what stands for a digest."""
    blobs, store = bench.services.blobs, bench.services.store
    pack = blobs.put(b"hello")
    layout = blobs.put(Layout(packs=[Pack(pack.digest, pack.size_bytes)]).to_bytes()).digest
    named = store.ensure_dataset(Dataset(id=new_id(), project_id=project_id, name="digits"))
    manifest = blobs.put(Manifest(()).to_bytes()).digest
    store.add_dataset_version(
        DatasetVersion(
            id=new_id(), dataset_id=named.id, name="digits", number=0, digest=manifest, layout=layout
        )
    )


def one_of_everything(bench: Bench) -> dict[str, str]:
    """Make a run, a job, a version, an endpoint and a pipeline; gives what stands for each in an address."""
    pipeline = bench.start(FILES)
    stage = bench.stages(pipeline)["train"]
    bench.deployed(bench.version())
    created = bench.by_hand()
    run = bench.services.store.get_run(created.run_id)
    manifest = bench.keep({"out.txt": b"hello"})
    bench.services.store.record_artifact(
        Artifact(run_id=run.id, path="out.txt", manifest=manifest, size_bytes=5, files=1)
    )
    model = LoggedModel(
        id=f"m-{new_id()}", experiment_id=run.experiment_id, name="net", artifact_location="x"
    )
    bench.services.store.create_logged_model(
        msgspec.structs.replace(model, source_run_id=run.id), params={}, tags={}
    )
    dataset = EvaluationDataset(id="d-1", project_id=run.project_id, name="questions", digest="0")
    bench.services.store.create_evaluation_dataset(dataset, tags={}, experiment_ids=[])
    bench.services.store.create_scorer_version(run.experiment_id, "exact", "{}", created_by="ann")
    trace = Trace(id="tr-1", experiment_id=run.experiment_id, started_ms=1)
    bench.services.store.create_trace(trace)
    bench.services.store.create_assessment(
        Assessment(id="a-1", trace_id="tr-1", name="ok", kind=AssessmentKind.FEEDBACK, value="true")
    )
    of_it: Any = {"experiment_id": run.experiment_id, "created_by": "ann"}
    asked = LabelSchema(id="ls-1", name="good", kind=LabelKind.FEEDBACK, input={"text": {}}, **of_it)
    bench.services.store.create_label_schema(asked)
    queue = ReviewQueue(id="rq-1", name="mine", folded_name="mine", kind=QueueKind.CUSTOM, **of_it)
    bench.services.store.create_review_queue(queue, users=[])
    bench.services.store.add_review_items("rq-1", ["tr-1"])
    bench.services.store.create_issue(Issue(id="iss-1", name="slow", description="x", **of_it))
    a_dataset(bench, run.project_id)
    webhook = Webhook(id="w1", name="ci", url="http://127.0.0.1:9/x", events=("prompt.created",))
    bench.services.store.create_webhook(webhook)
    return {
        "webhook_id": "w1",
        "issue_id": "iss-1",
        "trace_id": "tr-1",
        "trace_id:str": "tr-1",
        "request_id": "tr-1",
        "assessment_id": "a-1",
        "dataset_id": dataset.id,
        "dataset_id:str": dataset.id,
        "key": "none",
        "model_id": model.id,
        "tag_key": "none",
        "upload_id:str": "none",
        "number:int": "1",
        "run_id:str": run.id,
        "run_id": run.id,
        "experiment": run.experiment_id,
        "path:path": f"{run.experiment_id}/{run.id}/artifacts/out.txt",
        "job_id:str": stage.job_id,
        "name:str": "digits",
        "ref:str": "1",
        "token_id:str": "0" * 16,
        "digest:str": bench.services.blobs.put(b"hello").digest,
        "kind:str": "github",
        "token": created.token,
    }


def tokens(bench: Bench, live: LiveHub, command: str, job_id: str) -> dict[str, str]:
    """Give a token of each kind of caller."""
    job = bench.services.store.get_job(job_id)
    return {
        "nobody": "",
        "command": command,
        "runner": create_job_token(bench.services, job, Scope.RUNNER),
        "local": live.token(Scope.LOCAL, "local"),
        "member": live.token(Scope.MEMBER, "mia"),
        "admin": live.admin,
    }


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One hub for the whole table: what one row changes, no other row asks about."""
    with quick_folder() as folder, open_bench(folder) as bench, served(bench.services, auth="token") as live:
        names = one_of_everything(bench)
        yield World(live, names, tokens(bench, live, names["token"], names["job_id:str"]))


def narrowed(route: str) -> str:
    """Name the project where a list of everything is not for everyone."""
    lists = ("models", "endpoints", "pipelines", "runs", "traces", "datasets")
    if route in {f"GET /api/v1/{each}" for each in (*lists, "copies/traces", "copies/evaluation")}:
        return f"{route}?project=digits"
    if "/pipelines/{ref" in route:
        return route.replace("{ref:str}", "digits:1")
    extra = {"/metrics": "?key=loss", "/file": "?path=out.txt"}
    for ending, query in extra.items():
        if route.startswith("GET") and route.endswith(ending):
            return route + query
    if route.endswith("{key:path}"):
        return route.replace("{key:path}", "loss")
    if route.endswith("{path:str}"):
        return route.replace("{path:str}", "openapi.json")
    if route.endswith("mlflow-artifacts/artifacts"):
        return route + "?path={path:path}"
    return route


def judge(answer: Answer, caller: str, allowed: str, route: str) -> None:
    """Hold an answer to the table."""
    let_in = answer.status not in (401, 403)
    assert let_in == (caller[0] in allowed), f"{caller} at {route}: {answer.status} {answer.body[:200]!r}"
    if not let_in:
        assert answer.status == (401 if caller == "nobody" else 403)


def test_each_call_of_mlflow_lets_in_whom_the_table_says(world: World) -> None:
    for call, allowed in MLFLOW.items():
        method, rest = call.split(" ", 1)
        for caller in CALLERS:
            route = f"{method} /api/2.0/mlflow/{rest}"
            judge(world.ask(caller, route), caller, allowed, route)


def last(route: str) -> int:
    """Say how much a route takes away that others ask for."""
    return next((n for n, word in enumerate(("cancel", "finish", "DELETE")) if word in route), 9) * -1


IN_ORDER = sorted(TABLE, key=last)


@pytest.mark.parametrize("route", IN_ORDER)
def test_each_route_lets_in_whom_the_table_says(world: World, route: str) -> None:
    refused_first = sorted(CALLERS, key=lambda name: name[0] in TABLE[route])
    for caller in refused_first:
        judge(world.ask(caller, narrowed(route)), caller, TABLE[route], route)


def test_nobody_learns_what_a_message_should_be(world: World) -> None:
    """Whoever may not use a route is refused before what was sent is looked at."""
    for route, allowed in TABLE.items():
        method, path = route.replace("{number:int}", "1").split(" ", 1)
        if method in ("POST", "PUT") and "n" not in allowed:
            assert world.live.ask(method, path, body=b"{", token="").status == 401, route


def test_the_table_holds_every_route_of_the_api(bench: Bench) -> None:
    config = HubConfig(data_dir=bench.services.place.data_dir)
    forging = Forging(bench.services, {"github": GitHub()}, FileVault(config.data_dir / "key"))
    app = build_api(config, bench.services, forging)
    known = set()
    for route in app.routes:
        if route.path.startswith(("/api/", "/webhooks", "/health")) and "/mlflow/" not in route.path:
            known |= {f"{method} {route.path}" for method in route.methods if method != "OPTIONS"}
    assert known == set(TABLE)
    assert {call.partition("?")[0] for call in MLFLOW} == {
        f"{method} {path}" for method, path in mlflow.TABLE
    }


OUTSIDE_THE_TABLES: tuple[tuple[str, str, bytes | None, dict[str, str]], ...] = (
    ("POST", "/v1/traces", b"", {"content_type": "application/x-protobuf", "x_mlflow_experiment_id": "0"}),
    ("POST", "/graphql", b'{"query": "{ test { output } }"}', {}),
    ("GET", "/graphql?query={test{output}}", None, {}),
    ("GET", "/ajax-api/2.0/mlflow/get-trace-artifact?request_id=tr-1", None, {}),
    ("GET", "/ajax-api/3.0/mlflow/get-trace-artifact?request_id=tr-1", None, {}),
)


def test_mlflows_other_routes_let_in_its_clients(bench: Bench) -> None:
    with served(bench.services, auth="token") as live:
        names = one_of_everything(bench)
        for caller, token in tokens(bench, live, names["token"], names["job_id:str"]).items():
            for method, path, body, headers in OUTSIDE_THE_TABLES:
                answer = live.ask(method, path, body=body, token=token, **headers)
                judge(answer, caller, CLIENTS, f"{method} {path}")
            for path in ("/p/digits/traces", "/p/digits/evaluation", "/p/digits/reviews"):
                answer = live.ask("GET", path, token=token)
                assert (answer.status == 200) == (caller[0] in PEOPLE), f"{caller} at {path}: {answer.status}"


def test_a_page_of_another_site_records_no_spans_and_asks_nothing(world: World) -> None:
    for path in ("/v1/traces", "/graphql"):
        for named in ({"origin": "https://elsewhere.example"}, {"host": "elsewhere.example"}):
            answer = world.live.ask("POST", path, body=b"{}", token=world.tokens["member"], **named)
            assert answer.status == 403, (path, named)


@pytest.mark.parametrize("caller", ["command", "runner"])
def test_the_token_of_a_job_reads_nothing_of_another_project(bench: Bench, caller: str) -> None:
    with served(bench.services, auth="token") as live:
        names = one_of_everything(bench)
        other = bench.by_hand(project="other")
        job = bench.services.store.get_job(names["job_id:str"])
        token = {
            "command": other.token,
            "runner": create_job_token(
                bench.services, msgspec.structs.replace(job, project_id="f" * 32), Scope.RUNNER
            ),
        }[caller]
        world = World(live, names, {caller: token})
        reading = [
            route for route, who in TABLE.items() if route.startswith("GET") and who in (KNOWN, CLIENTS)
        ]
        reading += [
            f"GET /api/2.0/mlflow/{call[4:]}" for call, who in MLFLOW.items() if call.startswith("GET")
        ]
        for route in reading:
            if route in (
                "GET /api/v1/info",
                "GET /api/2.0/mlflow/server-info",
                # These find what is of its own project, which is nothing.
                "GET /api/2.0/mlflow/registered-models/search",
                "GET /api/2.0/mlflow/model-versions/search",
                "GET /api/2.0/mlflow/datasets/search",
                "GET /api/2.0/mlflow/scorers/online-configs?scorer_ids=none",
                "GET /api/2.0/mlflow/experiments/search?max_results=1",
                "GET /api/2.0/mlflow/experiments/get-by-name?experiment_name=digits",
            ):
                continue
            if caller == "runner" and "/datasets/{name:str}/versions/" in route:
                continue  # it brings the data that its stage declares, whosever it is
            assert world.ask(caller, narrowed(route)).status == 403, route
        # By name it finds an experiment of its own project, or none.
        found = world.ask(caller, "GET /api/2.0/mlflow/experiments/get-by-name?experiment_name=digits")
        assert found.status in (403, 404)


ASKED_BY_POST = (
    "traces/search",
    "traces/batchGetInfos",
    "traces/metrics",
    "traces/calculate-filter-correlation",
    "traces/link-to-run",
    "traces/{trace_id}/assessments",
    "scorers/register",
    "label-schemas/create",
    "review-queues/create",
    "review-queues/get-or-create-user",
    "review-queues/items/add",
    "issues",
)


def test_a_command_asks_by_post_for_nothing_of_another_project(bench: Bench) -> None:
    with served(bench.services, auth="token") as live:
        names = one_of_everything(bench)
        command = bench.by_hand(project="other").token
        world = World(live, names, {"command": command})
        for path in ASKED_BY_POST:
            answer = world.ask("command", f"POST /api/2.0/mlflow/{path}")
            assert answer.status == 403, (path, answer.body)
        for path in ("datasets/search", "experiments/search-datasets", "issues/search"):
            found = world.ask("command", f"POST /api/2.0/mlflow/{path}")
            assert found.status == 200, path
            assert not any(found.json.values()), path
        own = live.ask("POST", "/api/2.0/mlflow/datasets/create", {"name": "own"}, token=command)
        assert own.status == 200
        for path in ("traces", "evaluation", "reviews"):
            assert live.ask("GET", f"/p/digits/{path}", token=command).status == 403
        picture = f"{names['experiment']}/traces/tr-1/artifacts/attachments/a.png"
        at = f"/api/2.0/mlflow-artifacts/artifacts/{picture}"
        assert live.ask("PUT", at, body=b"picture", token=command).status == 403
        assert live.ask("PUT", at, body=b"picture").status == 200
        assert live.ask("GET", at, token=command).status == 403


def test_a_list_without_a_project_is_for_people(world: World) -> None:
    for path in ("models", "endpoints", "pipelines", "runs", "traces"):
        assert world.ask("runner", f"GET /api/v1/{path}").status == 403
        assert world.ask("member", f"GET /api/v1/{path}").status == 200


def test_without_a_login_only_recording_and_inference_are_open_and_only_if_asked_for(bench: Bench) -> None:
    with served(bench.services, auth="local") as live:
        made = live.ask("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": "0"}, token="")
        assert made.status == 200
        run_id = made.json["run"]["info"]["run_id"]
        assert bench.services.store.get_run(run_id).actor == "local"
        assert live.ask("GET", "/v2/models/x/ready", token="").status == 503  # no router runs here
        assert live.ask("GET", "/endpoints/x/invocations", token="").status == 503
        for path in (
            "/api/v1/runs",
            "/api/v1/info",
            "/git/digits.git/info/refs?service=git-upload-pack",
            "/p/digits",
        ):
            assert live.ask("GET", path, token="").status == 401, path
        bad = live.ask("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0", token="rlv_x_y")
        assert bad.status == 401
    with served(bench.services, auth="token") as live:
        for path in ("/api/2.0/mlflow/experiments/get?experiment_id=0", "/v2/models/x/ready"):
            assert live.ask("GET", path, token="").status == 401, path


def test_the_caller_without_a_login_writes_its_own_runs_alone(bench: Bench) -> None:
    run_id = bench.by_hand().run_id
    with served(bench.services, auth="local") as live:
        tag = {"run_id": run_id, "key": "a", "value": "b"}
        assert live.ask("POST", "/api/2.0/mlflow/runs/set-tag", tag, token="").status == 403
        made = live.ask("POST", "/api/2.0/mlflow/runs/create", {}, token="").json["run"]["info"]
        tag["run_id"] = made["run_id"]
        assert live.ask("POST", "/api/2.0/mlflow/runs/set-tag", tag, token="").status == 200
