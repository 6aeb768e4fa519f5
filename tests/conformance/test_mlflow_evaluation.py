"""MLflow's own client, unchanged: data sets for evaluation, scorers, and what its pages ask in GraphQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.test_mlflow_client import script
from tests.e2e.hub import RealHub, running_hub

# What the client's own helpers do once pandas is there.
STORE = "from mlflow.tracking._tracking_service.utils import _get_store\nstore = _get_store()\n"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """One hub for all: `--auth local` is its default."""
    with running_hub(tmp_path_factory.mktemp("home")) as running:
        yield running


def test_a_data_set_is_filled_merged_paged_and_deleted(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        STORE
        + """
one, two = client.create_experiment("one"), client.create_experiment("two")
made = client.create_dataset("questions", experiment_id=[one], tags={"team": "blue", "mlflow.user": "ann"})
first = store.upsert_dataset_records(made.dataset_id, [
    {"inputs": {"q": n}, "expectations": {"a": n}, "source": {"source_type": "HUMAN", "source_data": {}}}
    for n in range(25)
])
again = store.upsert_dataset_records(made.dataset_id, [
    {"inputs": {"q": 3}, "expectations": {"b": 1}, "tags": {"mlflow.user": "bob"}, "outputs": "three"},
    {"inputs": {"q": 99}},
])
pages, token = [], None
while True:
    some, token = store._load_dataset_records(made.dataset_id, max_results=10, page_token=token)
    pages.append(len(some))
    if not token:
        break
records, _ = store._load_dataset_records(made.dataset_id)
third = records[3]
gone = store.delete_dataset_records(made.dataset_id, [records[0].dataset_record_id, "none"])
client.add_dataset_to_experiments(made.dataset_id, [two])
shared = store.get_dataset_experiment_ids(made.dataset_id) == [one, two]
client.remove_dataset_from_experiments(made.dataset_id, [one])
client.set_dataset_tags(made.dataset_id, {"team": "red", "none": None})
client.delete_dataset_tag(made.dataset_id, "mlflow.user")
now = client.get_dataset(made.dataset_id)
found = client.search_datasets(experiment_ids=[two], filter_string="name LIKE 'quest%' AND tags.team = 'red'")
left = now.experiment_ids == [two]
client.delete_dataset(made.dataset_id)
try:
    client.get_dataset(made.dataset_id)
except mlflow.MlflowException as error:
    after = [error.error_code, error.get_http_status_code()]
print(json.dumps({
    "counts": [first, again], "pages": pages, "gone": gone, "shared": shared, "after": after,
    "third": [third.inputs, third.outputs, third.expectations, third.source_type, third.last_updated_by],
    "schema": json.loads(now.schema), "profile": json.loads(now.profile), "tags": now.tags,
    "users": [now.created_by, now.last_updated_by], "changed": now.digest != made.digest,
    "left": left, "found": [it.name for it in found],
}))
""",
        tmp_path,
    )
    assert said["counts"] == [{"inserted": 25, "updated": 0}, {"inserted": 1, "updated": 1}]
    assert (said["pages"], said["gone"], said["shared"], said["left"]) == ([10, 10, 6], 1, True, True)
    assert said["third"] == [{"q": 3}, "three", {"a": 3, "b": 1}, "HUMAN", "bob"]
    assert said["schema"]["inputs"] == {"q": "integer"}
    assert said["schema"]["expectations"] == {"a": "integer", "b": "integer"}
    assert (said["profile"], said["tags"]) == ({"num_records": 25}, {"team": "red"})
    assert (said["users"], said["changed"], said["found"]) == (["ann", "bob"], True, ["questions"])
    assert said["after"] == ["RESOURCE_DOES_NOT_EXIST", 404]


def test_scorers_are_registered_listed_and_deleted(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        STORE
        + """
experiment = client.create_experiment("scored")
for n in range(3):
    made = store.register_scorer(experiment, "exact", json.dumps({"n": n}))
store.register_scorer(experiment, "close", json.dumps({"n": 7}))
listed = [[it.scorer_name, it.scorer_version] for it in store.list_scorers(experiment)]
configs = store.get_online_scoring_configs([made.scorer_id])
first = store.get_scorer(experiment, "exact", version=1)
store.delete_scorer(experiment, "exact", version=1)
versions = [it.scorer_version for it in store.list_scorer_versions(experiment, "exact")]
store.delete_scorer(experiment, "exact")
refused = []
for act in (
    lambda: store.get_scorer(experiment, "exact"),
    lambda: store.register_scorer(experiment, "bad", json.dumps({"call_source": "import os"})),
):
    try:
        act()
    except mlflow.MlflowException as error:
        refused.append(error.error_code)
print(json.dumps({
    "made": [made.experiment_id == experiment, made.scorer_version], "listed": listed, "configs": configs,
    "first": first._serialized_scorer, "versions": versions, "refused": refused,
}))
""",
        tmp_path,
    )
    assert said == {
        "made": [True, 3],
        "listed": [["close", 1], ["exact", 3]],
        "configs": [],
        "first": '{"n": 0}',
        "versions": [2, 3],
        "refused": ["RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"],
    }


def test_a_run_is_read_in_graphql(hub: RealHub, tmp_path: Path) -> None:
    said = script(
        hub,
        """
import urllib.request
with mlflow.start_run() as run:
    for step in range(4):
        mlflow.log_metric("loss", 1 / (1 + step), step=step)
    mlflow.log_param("lr", 0.1)
query = '''query one($id: String) {
    mlflowGetRun(input: {runId: $id}) { run {
        info { runName status } data { params { key value } metrics { key value step } } experiment { name }
    } }
    mlflowGetMetricHistoryBulkInterval(input: {runIds: [$id], metricKey: "loss"}) { metrics { value step } }
}'''
message = {"query": query, "variables": {"id": run.info.run_id}, "operationName": "one"}
request = urllib.request.Request(
    os.environ["MLFLOW_TRACKING_URI"] + "/graphql",
    data=json.dumps(message).encode(),
    headers={"content-type": "application/json"},
)
print(urllib.request.urlopen(request).read().decode())
""",
        tmp_path,
    )
    assert said["errors"] is None
    run = said["data"]["mlflowGetRun"]["run"]
    assert (run["info"]["status"], run["experiment"]) == ("FINISHED", {"name": "Default"})
    assert run["data"] == {
        "params": [{"key": "lr", "value": "0.1"}],
        "metrics": [{"key": "loss", "value": 0.25, "step": "3"}],
    }
    points = said["data"]["mlflowGetMetricHistoryBulkInterval"]["metrics"]
    assert [(it["step"], it["value"]) for it in points] == [(str(n), 1 / (1 + n)) for n in range(4)]
