"""MLflow's tracking calls, asked over a real port as a client asks them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from relive.core.access import Scope
from tests.support.bench import Bench, open_bench, quick_folder
from tests.support.live import Answer, LiveHub, served

SEE = " See the API docs for more information about request parameters."


@dataclass
class Tracking:
    """A hub that is asked as MLflow's clients ask it; `token` says by whom."""

    bench: Bench
    live: LiveHub
    token: str

    def ask(self, method: str, path: str, message: Any = None, **options: Any) -> Answer:
        """Send one request."""
        return self.live.ask(method, f"/api/2.0/mlflow/{path}", message, **{"token": self.token, **options})

    def post(self, path: str, **fields: Any) -> Any:
        """Send a message that is right, and give the reply."""
        answer = self.ask("POST", path, fields)
        assert answer.status == 200, answer.body
        return answer.json

    def get(self, path: str, **query: Any) -> Any:
        """Ask for something that is there."""
        answer = self.ask("GET", f"{path}?{urlencode(query, doseq=True)}")
        assert answer.status == 200, answer.body
        return answer.json

    def refused(self, path: str, message: Any) -> tuple[int, str, str]:
        """Send a message that is wrong; gives status, error code and text."""
        return fault(self.ask("POST", path, message))

    def refused_query(self, path: str, **query: Any) -> tuple[int, str, str]:
        """Ask for what cannot be given; gives status, error code and text."""
        return fault(self.ask("GET", f"{path}?{urlencode(query, doseq=True)}"))

    def experiment(self, name: str, **fields: Any) -> str:
        """Make an experiment."""
        return str(self.post("experiments/create", name=name, **fields)["experiment_id"])

    def run(self, **fields: Any) -> str:
        """Make a run."""
        return str(self.post("runs/create", **fields)["run"]["info"]["run_id"])

    def read(self, run_id: str) -> Any:
        """Give a run; its tags, params and metrics by key."""
        run = self.get("runs/get", run_id=run_id)["run"]
        data = {kind: {item["key"]: item["value"] for item in items} for kind, items in run["data"].items()}
        return run | {"data": data}

    def as_caller(self, scope: Scope, name: str, **details: Any) -> "Tracking":
        """Ask as somebody else."""
        return Tracking(self.bench, self.live, self.live.token(scope, name, **details))


def fault(answer: Answer) -> tuple[int, str, str]:
    """Give the status, the error code and the text of a failure."""
    return answer.status, answer.json["error_code"], answer.json["message"]


@pytest.fixture(scope="module")
def tracking() -> Iterator[Tracking]:
    """One hub for a module: each test makes its own experiments and runs."""
    with quick_folder() as folder, open_bench(folder) as bench, served(bench.services) as live:
        yield Tracking(bench, live, live.token(Scope.MEMBER, "mia"))
