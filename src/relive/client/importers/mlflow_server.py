"""The runs of an MLflow server, asked for by its own API."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import urlencode

from relive.client.importers.foreign import ForeignRun
from relive.client.importers.mlflow_files import PARENT, lay_tree, local_folder, seconds, status_of
from relive.client.transport import Transport
from relive.core.run import Metric
from relive.errors import HubRefused, InvalidInput

_API: Final = "/api/2.0/mlflow/"
_RUNS_A_PAGE: Final = 100
_POINTS_A_PAGE: Final = 25_000
_RETRY_S: Final = 30.0


class MlflowServer:
    """An MLflow server, or another relive hub's MLflow routes.

    Args:
        url: Its address.
        token: For it; empty for none.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self.name = "mlflow"
        self._http = Transport(url, token, retry_for_s=_RETRY_S)

    def runs(self) -> Iterator[ForeignRun]:
        """Give every run that is not deleted, by experiment."""
        for experiment in self._pages("experiments/search", "experiments", {"max_results": 1000}):
            asked = {
                "experiment_ids": [experiment["experiment_id"]],
                "max_results": _RUNS_A_PAGE,
                "order_by": ["attributes.start_time ASC"],
            }
            for run in self._pages("runs/search", "runs", asked):
                yield self._run(run, experiment["name"])

    def _run(self, run: dict[str, Any], experiment: str) -> ForeignRun:
        info, data = run["info"], run.get("data", {})
        key = info.get("run_id") or info["run_uuid"]
        status, reason = status_of(info.get("status"))
        tags = _pairs(data.get("tags", ()))
        names = [str(it["key"]) for it in data.get("metrics", ())]
        return ForeignRun(
            key=key,
            name=str(info.get("run_name") or tags.get("mlflow.runName", "")),
            experiment=experiment,
            status=status,
            reason=reason,
            started_at=seconds(info.get("start_time")),
            ended_at=seconds(info.get("end_time")),
            parent=tags.get(PARENT, ""),
            command=tags.get("mlflow.source.name", ""),
            commit=tags.get("mlflow.source.git.commit", ""),
            params=dict(_pairs(data.get("params", ()))),
            tags=tags,
            metrics=partial(self._metrics, key, names),
            lay_files=partial(self._lay_files, key, str(info.get("artifact_uri", ""))),
        )

    def _metrics(self, key: str, names: list[str]) -> Iterator[Metric]:
        for name in sorted(names):
            token: str | None = ""
            while token is not None:
                asked = {
                    "run_id": key,
                    "metric_key": name,
                    "max_results": _POINTS_A_PAGE,
                    "page_token": token or None,
                }
                page = self._get("metrics/get-history", asked)
                for it in page.get("metrics", ()):
                    yield Metric(
                        name, float(it["value"]), int(it.get("step", 0)), int(it["timestamp"]) / 1000
                    )
                token = page.get("next_page_token") or None

    def _lay_files(self, key: str, uri: str, folder: Path) -> None:
        local = local_folder(uri)
        if local is not None and local.is_dir():
            lay_tree(local, folder)  # a server on this machine that lets its clients write themselves
            return
        todo = [""]
        while todo:
            listed = self._get("artifacts/list", {"run_id": key, "path": todo.pop() or None})
            for file in listed.get("files", ()):
                path = _inside(file["path"])
                if file.get("is_dir"):
                    todo.append(str(path))
                else:
                    self._fetch(key, path, folder / path)

    def _fetch(self, key: str, path: PurePosixPath, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb") as file:
            file.writelines(
                self._http.stream("/get-artifact?" + urlencode({"run_uuid": key, "path": str(path)}))
            )

    def _pages(self, path: str, field: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            page = self._post(path, {**asked, **({"page_token": token} if token else {})})
            yield from page.get(field, ())
            token = page.get("next_page_token") or ""
            if not token:
                return

    def _get(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
        return self._http.get(_API + path, dict[str, Any], query)

    def _post(self, path: str, message: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._http.post(_API + path, message, dict[str, Any], repeatable=True)
        except HubRefused as error:
            if error.status == 404:
                wanted = "the address of an MLflow server"
                raise InvalidInput(field="address", value=self._http.base_url, wanted=wanted) from error
            raise


def _pairs(items: Any) -> dict[str, str]:
    return {str(it["key"]): str(it.get("value", "")) for it in items}


def _inside(path: str) -> PurePosixPath:
    """Give a path that a server named, which must not lead out of the folder that is filled."""
    found = PurePosixPath(path)
    if found.is_absolute() or ".." in found.parts or not found.parts:
        raise InvalidInput(field="artifact path", value=path, wanted="a path below the run's artifacts")
    return found
