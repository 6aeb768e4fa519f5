"""Whatever is sent to MLflow's routes: no defect, MLflow's own shape of a failure, and nothing half-written.

Messages are made from the types that the routes read, of things that are there, mixed with rubbish. A request
that is refused must not have written: the database tells by its own count of commits.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from itertools import count
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from relive.core.access import Scope
from relive.hub.routes.mlflow.calls import TABLE
from tests.support.bench import open_bench, quick_folder
from tests.support.live import Answer, LiveHub, served

IS_SLOW = os.environ.get("RELIVE_SLOW") == "1"
API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts"
LONG = 10_000_000
FUZZ = settings(
    max_examples=300 if IS_SLOW else 12,
    deadline=None,
    derandomize=not IS_SLOW,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
RUBBISH_TEXT = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "",
            " ",
            "\0",
            "\ud800",
            "a\0b",
            "../../etc/passwd",
            "%2e%2e%2f",
            "a/../b",
            "/abs",
            "'; --",
            "NaN",
            "null",
            "0",
            "-1",
            "1e400",
            "9" * 400,
            "x" * 6001,
            "\u202e\U0001f600",
            "metrics.acc > 1",
            "(" * 500,
            "params.`a",
        ]
    ),
)
NUMBERS = st.sampled_from([0, -1, 1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 2**70, 10**400, 1.5, 1e308, -0.0])
RUBBISH: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.floats(), RUBBISH_TEXT),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
PATHS = st.one_of(
    st.sampled_from(
        [
            *("model/a.txt", "..", "../x", "%2e%2e/x", "a/%252e%252e/b", "/etc/passwd", "C:\\x", "a#b"),
            *("a\\..\\b", "a" * 5000, "a/" * 500 + "b", "", "/", "//", ".", "./a", "a//b", "a\nb", "a?b"),
            *("\u00e4/\U0001f600", ".uploads/x/begun", "versions/" + "0" * 32 + "/artifacts/x"),
        ]
    ),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace").decode()),
)


@dataclass
class Target:
    """A hub, what is there, and its database's own count of commits."""

    live: LiveHub
    known: dict[str, str]
    commits: sqlite3.Connection

    def post(self, path: str, **fields: Any) -> Any:
        """Send a message that is right."""
        answer = self.live.ask("POST", f"{API}/{path}", fields)
        assert answer.status == 200, answer.body
        return answer.json

    def n_commits(self) -> int:
        """Give a number that changes with each commit."""
        (number,) = self.commits.execute("PRAGMA data_version").fetchone()
        return int(number)

    def make(self) -> None:
        """Make one of everything, for messages that name what is there."""
        number = next(NUMBERED)
        experiment = self.post("experiments/create", name=f"e{number}")["experiment_id"]
        run = self.post("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
        self.post("runs/log-batch", run_id=run, metrics=[{"key": "acc", "value": 1, "timestamp": 1}])
        self.post("runs/log-parameter", run_id=run, key="lr", value="0.1")
        model = f"m{number}"
        self.post("registered-models/create", name=model)
        self.post(
            "model-versions/create",
            name=model,
            source=f"mlflow-artifacts:/{experiment}/{run}/artifacts/x",
            run_id=run,
        )
        logged = self.post("logged-models", experiment_id=experiment, name="net")["model"]["info"]["model_id"]
        hook = self.post("webhooks", name="h", url="http://127.0.0.1:9/", events=EVENTS)["webhook"]
        trace = self.post("traces", experiment_id=experiment, timestamp_ms=1)["trace_info"]["request_id"]
        judged = {"assessment_name": "a", "feedback": {"value": 1}, "source": {"source_type": "HUMAN"}}
        said = self.post(f"traces/{trace}/assessments", assessment=judged)["assessment"]
        rows = self.post("datasets/create", name=f"d{number}", experiment_ids=[experiment])["dataset"]
        self.known.update(
            {"trace_id": trace, "trace_ids": trace, "request_id": trace, "request_ids": trace}
            | {"assessment_id": said["assessment_id"], "dataset_id": rows["dataset_id"]}
        )
        self.known.update(
            {"run_id": run, "run_ids": run, "run_uuid": run, "experiment_id": experiment, "key": "acc"}
            | {"experiment_ids": experiment, "name": model, "version": "1", "model_id": logged}
            | {"webhook_id": hook["webhook_id"], "metric_key": "acc", "experiment_name": f"e{number}"}
            | {"url": "http://127.0.0.1:9/"}
        )

    def judge(self, answer: Answer, before: int, sent: Any) -> None:
        """Hold an answer to what every answer has to be."""
        told = f"{sent!r:.600} → {answer.status} {answer.body[:600]!r}"
        if answer.status < 400:
            return
        failure = answer.json
        assert isinstance(failure["error_code"], str), told
        assert isinstance(failure["message"], str), told
        # MLflow answers 500 where the state of a thing does not allow what is asked.
        assert answer.status < 500 or failure["error_code"] in ("INVALID_STATE", "NOT_IMPLEMENTED"), told
        assert len(answer.body) < 100_000, told
        assert self.n_commits() == before, f"written although it was refused: {told}"


NUMBERED = count(1)
EVENTS = [{"entity": "PROMPT", "action": "CREATED"}]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """A hub whose commits are counted."""
    with (
        quick_folder() as folder,
        open_bench(folder) as bench,
        served(bench.services) as live,
        pytest.MonkeyPatch.context() as patch,
    ):
        live.admin = live.token(Scope.ADMIN, "ada")
        # That a token was used is noted once a minute, whatever is asked.
        patch.setattr(bench.services.store, "touch_token", lambda _token_id: None)
        path = bench.services.place.data_dir / "relive.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as commits:
            yield Target(live, {}, commits)


def of_type(type_: Any, name: str, known: dict[str, str]) -> st.SearchStrategy[Any]:
    """Make values of a field: mostly such as it takes."""
    there = st.just(known[name]) if name in known else st.nothing()
    return st.one_of(there, there, there, _fitting(type_, name, known), _fitting(type_, name, known), RUBBISH)


def _fitting(type_: Any, name: str, known: dict[str, str]) -> st.SearchStrategy[Any]:
    origin, parts = get_origin(type_), get_args(type_)
    if origin is Annotated:
        return _fitting(parts[0], name, known)
    if origin in (Union, UnionType):
        return st.one_of([_fitting(part, name, known) for part in parts])
    if origin in (tuple, list):
        return st.lists(of_type(parts[0], name, known), max_size=3)
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return message_of(type_, known)
    plain = {int: NUMBERS | st.integers(0, 2000), float: st.floats(), bool: st.booleans(), str: RUBBISH_TEXT}
    return plain.get(type_, RUBBISH)


def message_of(kind: Any, known: dict[str, str]) -> st.SearchStrategy[dict[str, Any]]:
    """Make messages: any of the fields, of the right type or not, and some that nobody knows."""
    fields = {it.encode_name: of_type(it.type, it.encode_name, known) for it in msgspec.structs.fields(kind)}
    needed = {it.encode_name for it in msgspec.structs.fields(kind) if it.required}
    whole = st.fixed_dictionaries(
        {name: it for name, it in fields.items() if name in needed},
        optional={name: it for name, it in fields.items() if name not in needed},
    )
    return st.one_of(whole, whole, st.fixed_dictionaries({}, optional={**fields, "unknown": RUBBISH}))


@cache
def rows() -> list[tuple[str, str, Any]]:
    """Give every row of MLflow's routes that reads a message."""
    return [(method, path, kind) for (method, path), (kind, _) in TABLE.items() if kind is not None]


def send(target: Target, method: str, path: str, message: dict[str, Any]) -> Answer:
    """Send a message as its row is asked: fields that the path names in the path, a GET's in the query."""
    asked = dict(message)
    for name in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
        word = asked.pop(name, None)
        text = word if isinstance(word, str) and word not in ("", ".", "..") else target.known.get(name, "x")
        path = path.replace(f"{{{name}}}", quote(text.encode("utf-8", "replace"), safe=""))
    if method == "GET":
        words = {name: _word(value) for name, value in asked.items()}
        return target.live.ask(method, f"{API}/{path}?{urlencode(words, doseq=True)}")
    body = json.dumps(asked).encode()
    return target.live.ask(method, f"{API}/{path}", body=body, content_type="application/json")


def _word(value: Any) -> Any:
    if isinstance(value, list):
        return [_word(item) for item in value]
    return str(value).encode("utf-8", "replace")


@pytest.mark.parametrize(("method", "path", "kind"), rows(), ids=lambda it: it if isinstance(it, str) else "")
def test_no_message_makes_it_fail_or_leaves_something_half_written(
    target: Target, method: str, path: str, kind: Any
) -> None:
    target.make()

    @FUZZ
    @given(message=message_of(kind, target.known))
    def judge(message: dict[str, Any]) -> None:
        before = target.n_commits()
        target.judge(send(target, method, path, message), before, (method, path, message))

    judge()


BODIES = [
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"{",
    b"\xff\xfe",
    b'{"run_id": "\xff"}',
    b'{"a":' * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"run_id": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"run_id": NaN, "name": Infinity, "max_results": 1e999}',
    b'{"name": "' + b"n" * LONG + b'"}',
    b'{"run_id": "' + b"r" * LONG + b'", "key": "' + b"k" * LONG + b'", "value": "v"}',
    b'{"max_results": ' + b"9" * 5000 + b"}",
    b'{"run_id": "x", "run_id": {}}',
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: str(body[:20]))
def test_no_body_makes_it_fail(target: Target, body: bytes) -> None:
    posts = [path for method, path, _ in rows() if method == "POST" and "{" not in path]
    for path in posts if len(body) < LONG else ["experiments/create", "runs/log-parameter"]:
        before = target.n_commits()
        answer = target.live.ask("POST", f"{API}/{path}", body=body, content_type="application/json")
        target.judge(answer, before, (path, body[:40]))


def test_no_path_of_an_artifact_leaves_its_root_or_makes_it_fail(target: Target) -> None:
    target.make()
    run, experiment = target.known["run_id"], target.known["experiment_id"]
    roots = ["", f"{experiment}/{run}/artifacts/", f"models/{target.known['model_id']}/artifacts/"]
    ways = ["artifacts", "mpu/create", "mpu/complete", "mpu/abort", "presigned"]

    @FUZZ
    @given(
        method=st.sampled_from(["GET", "PUT", "DELETE", "POST"]),
        way=st.sampled_from(ways),
        root=st.sampled_from(roots),
        path=PATHS,
        is_plain=st.booleans(),
    )
    def judge(method: str, way: str, root: str, path: str, is_plain: bool) -> None:
        escaped = quote(path, safe="%/") if is_plain else quote(path, safe="")
        before = target.n_commits()
        answer = target.live.ask(
            method, f"{FILES}/{way}/{root}{escaped}", body=b'{"path": "a", "num_parts": 1, "upload_id": "x"}'
        )
        assert answer.status not in (500, 503), answer.body
        if answer.status < 400:
            return
        assert target.n_commits() == before, (method, way, root, path)

    judge()
    kept = target.live.services.place.data_dir.parent
    assert not [it for it in kept.rglob("*") if it.name in ("passwd", "x", "b")]
