"""MLflow's calls on a live hub, one for each module: names in its tests differ."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from relive.core.access import Scope
from tests.support.bench import Bench, open_bench, quick_folder
from tests.support.live import Answer, LiveHub, served

CALLS = "/api/2.0/mlflow/"


@dataclass
class Registry:
    """Speaks MLflow's protocol as one caller: the admin, unless a token is given."""

    bench: Bench
    live: LiveHub
    token: str | None = None

    def ask(self, method: str, call: str, message: dict[str, Any] | None = None) -> Answer:
        """Send a call; what a GET asks goes into the query."""
        path = call if call.startswith("/") else f"{CALLS}{call}"
        if method == "GET" and message:
            path, message = f"{path}?{urlencode(message, doseq=True)}", None
        return self.live.ask(method, path, message, token=self.token)

    def get(self, call: str, **asked: Any) -> Any:
        """Give the answer to a GET."""
        return self._good(self.ask("GET", call, asked))

    def post(self, call: str, **message: Any) -> Any:
        """Give the answer to a POST."""
        return self._good(self.ask("POST", call, message))

    def patch(self, call: str, **message: Any) -> Any:
        """Give the answer to a PATCH."""
        return self._good(self.ask("PATCH", call, message))

    def delete(self, call: str, **message: Any) -> Any:
        """Give the answer to a DELETE."""
        return self._good(self.ask("DELETE", call, message))

    def refused(self, method: str, call: str, **message: Any) -> tuple[int, str, str]:
        """Give status, code and text of a call that must fail."""
        answer = self.ask(method, call, message)
        assert answer.status >= 400, answer.body
        return answer.status, answer.json["error_code"], answer.json["message"]

    def local(self) -> "Registry":
        """Speak without a login."""
        return Registry(self.bench, self.live, self.live.token(Scope.LOCAL, "local"))

    def model(self, name: str, **message: Any) -> dict[str, Any]:
        """Make a registered model."""
        answer = self.post("registered-models/create", name=name, **message)
        made: dict[str, Any] = answer["registered_model"]
        return made

    def version(self, name: str, source: str = "s3://bucket/model", **message: Any) -> dict[str, Any]:
        """Make a version of it."""
        answer = self.post("model-versions/create", name=name, source=source, **message)
        made: dict[str, Any] = answer["model_version"]
        return made

    def run(self, **files: bytes) -> dict[str, Any]:
        """Make a run with these files in its folder `model`."""
        info: dict[str, Any] = self.post("runs/create", experiment_id="0")["run"]["info"]
        for name, data in files.items():
            self.put(f"{info['artifact_uri'].partition(':/')[2]}/model/{name}", data)
        return info

    def put(self, address: str, data: bytes) -> Answer:
        """Store a file."""
        answer = self.live.ask(
            "PUT", f"/api/2.0/mlflow-artifacts/artifacts/{address}", body=data, token=self.token
        )
        assert answer.status == 200, answer.body
        return answer

    def read(self, address: str) -> bytes:
        """Read a file."""
        answer = self.live.ask("GET", f"/api/2.0/mlflow-artifacts/artifacts/{address}", token=self.token)
        assert answer.status == 200, answer.body
        return answer.body

    @staticmethod
    def _good(answer: Answer) -> Any:
        assert answer.status == 200, answer.body
        return answer.json


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """A hub for all tests of a module."""
    with quick_folder() as folder, open_bench(folder) as bench, served(bench.services, auth="token") as live:
        yield Registry(bench, live)
