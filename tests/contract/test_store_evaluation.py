"""Data sets for evaluation that several clients change at once, on both databases."""

import dataclasses
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from relive.core.access import Caller, Scope
from relive.services.context import Services
from relive.services.mlflow import evaluation, scorers
from relive.wire.mlflow import evaluation as wire
from tests.contract.databases import BACKENDS, fresh_url, opened
from tests.support.bench import open_bench, quick_folder

ANN = Caller(name="ann", scope=Scope.MEMBER)
WRITERS, ROUNDS, QUESTIONS = 4, 5, 12


def at_once(act: Callable[[int], None]) -> None:
    """Do something in several threads that begin together."""
    begin = threading.Barrier(WRITERS)

    def run(number: int) -> None:
        begin.wait(30)
        act(number)

    with ThreadPoolExecutor(WRITERS) as pool:
        for done in [pool.submit(run, number) for number in range(WRITERS)]:
            done.result(120)


def records(services: Services, dataset_id: str) -> list[dict[str, object]]:
    """Give all records of a data set."""
    asked = wire.ListEvaluationRecords(dataset_id=dataset_id)
    found: list[dict[str, object]] = json.loads(evaluation.list_records(services, asked, ANN)["records"])
    return found


@pytest.mark.parametrize("backend", BACKENDS)
def test_records_that_come_at_once_are_each_kept_once(
    request: pytest.FixtureRequest, tmp_path: Path, backend: str
) -> None:
    url = fresh_url(backend, request, tmp_path)
    with quick_folder() as folder, open_bench(folder) as bench, opened(url) as store:
        services = dataclasses.replace(bench.services, store=store)
        made = evaluation.create_dataset(services, wire.CreateEvaluationDataset(name="at once"), ANN)
        dataset_id = made["dataset_id"]
        counts: list[dict[str, int]] = []

        def write(number: int) -> None:
            for turn in range(ROUNDS):
                sent = [
                    {"inputs": {"q": q}, "expectations": {f"w{number}": turn}, "tags": {"last": str(number)}}
                    for q in range(QUESTIONS)
                ]
                message = wire.UpsertEvaluationRecords(records=json.dumps(sent), dataset_id=dataset_id)
                counts.append(evaluation.upsert_records(services, message, ANN))

        at_once(write)
        found = records(services, dataset_id)
        assert sum(it["inserted_count"] for it in counts) == len(found) == QUESTIONS
        assert store.get_evaluation_dataset(dataset_id).records == QUESTIONS
        everyone = {f"w{number}": ROUNDS - 1 for number in range(WRITERS)}
        assert all(it["expectations"] == everyone for it in found)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_deleted_while_more_comes_is_counted(
    request: pytest.FixtureRequest, tmp_path: Path, backend: str
) -> None:
    url = fresh_url(backend, request, tmp_path)
    with quick_folder() as folder, open_bench(folder) as bench, opened(url) as store:
        services = dataclasses.replace(bench.services, store=store)
        made = evaluation.create_dataset(services, wire.CreateEvaluationDataset(name="both"), ANN)
        dataset_id = made["dataset_id"]

        def act(number: int) -> None:
            for turn in range(ROUNDS):
                if number % 2:
                    ids = tuple(str(it["dataset_record_id"]) for it in records(services, dataset_id)[:2])
                    gone = wire.DeleteEvaluationRecords(dataset_id=dataset_id, dataset_record_ids=ids)
                    evaluation.delete_records(services, gone, ANN)
                else:
                    text = json.dumps([{"inputs": {"n": [number, turn, q]}} for q in range(3)])
                    message = wire.UpsertEvaluationRecords(records=text, dataset_id=dataset_id)
                    evaluation.upsert_records(services, message, ANN)

        at_once(act)
        assert store.get_evaluation_dataset(dataset_id).records == len(records(services, dataset_id))


@pytest.mark.parametrize("backend", BACKENDS)
def test_versions_of_a_scorer_that_come_at_once_have_numbers_of_their_own(
    request: pytest.FixtureRequest, tmp_path: Path, backend: str
) -> None:
    url = fresh_url(backend, request, tmp_path)
    with quick_folder() as folder, open_bench(folder) as bench, opened(url) as store:
        services = dataclasses.replace(bench.services, store=store)
        message = wire.RegisterScorer(experiment_id="0", name="exact", serialized_scorer="{}")
        scorers.register_scorer(services, message, ANN)  # makes the default experiment too

        def register(_number: int) -> None:
            for _ in range(ROUNDS):
                scorers.register_scorer(services, message, ANN)

        at_once(register)
        versions = [it.version for it in store.list_scorer_versions("0", "exact")]
        assert versions == list(range(1, WRITERS * ROUNDS + 2))
