"""Reviews that several clients change at once, on both databases."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from relive.core.access import Caller, Scope
from relive.core.review import ReviewStatus
from relive.core.trace import Trace
from relive.ports.review import Within
from relive.services.context import Services
from relive.services.mlflow import labels, review_items, reviews
from relive.services.mlflow.faults import MlflowFault
from relive.wire.mlflow import review as wire
from tests.contract.databases import BACKENDS, fresh_url, opened
from tests.support.bench import open_bench, quick_folder

CLIENTS, ROUNDS = 4, 5
YES_OR_NO = wire.LabelInput(pass_fail=wire.PassFailInput(positive_label="yes", negative_label="no"))


def caller(number: int) -> Caller:
    """Give a person: each thread is another."""
    return Caller(name=f"user{number}", scope=Scope.MEMBER)


def at_once(act: Callable[[int], Any]) -> list[Any]:
    """Do something in several threads that begin together; gives what each gave."""
    begin = threading.Barrier(CLIENTS)

    def run(number: int) -> Any:
        begin.wait(30)
        return act(number)

    with ThreadPoolExecutor(CLIENTS) as pool:
        return [done.result(120) for done in [pool.submit(run, number) for number in range(CLIENTS)]]


@pytest.fixture(params=BACKENDS)
def services(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Services]:
    """Services on a fresh database, whose default experiment has three traces."""
    url = fresh_url(request.param, request, tmp_path)
    with quick_folder() as folder, open_bench(folder) as bench, opened(url) as store:
        made = dataclasses.replace(bench.services, store=store)
        experiment = labels.active_experiment(made, "0", caller(0))
        for n in range(3):
            store.create_trace(Trace(id=f"tr-{n}", experiment_id=experiment.id, started_ms=1))
        yield made


def a_queue(services: Services, name: str, *schema_ids: str) -> str:
    """Make a queue of the default experiment."""
    asked = wire.CreateReviewQueue(experiment_id="0", name=name, queue_type=2, schema_ids=schema_ids)
    return str(reviews.create_queue(services, asked, caller(0))["queue_id"])


def test_all_who_ask_first_for_a_users_queue_get_the_same(services: Services) -> None:
    asked = wire.EnsureUserQueue(experiment_id="0", user="Ann")
    given = at_once(lambda number: reviews.ensure_user_queue(services, asked, caller(number)))
    assert len({queue["queue_id"] for queue in given}) == 1
    assert len(services.store.list_review_queues(Within())) == 1


def test_all_who_list_first_see_one_default_question(services: Services) -> None:
    asked = wire.ListLabelSchemas(experiment_id="0")
    given = at_once(lambda number: labels.list_schemas(services, asked, caller(number)))
    assert {len(page["label_schemas"]) for page in given} == {1}
    assert len({page["label_schemas"][0]["schema_id"] for page in given}) == 1


def test_of_those_who_take_a_name_at_once_one_has_it(services: Services) -> None:
    def make(number: int) -> str:
        asked = wire.CreateReviewQueue(experiment_id="0", name=["Mine", "MINE"][number % 2], queue_type=2)
        try:
            return str(reviews.create_queue(services, asked, caller(number))["name"])
        except MlflowFault as fault:
            return fault.error_code

    given = sorted(at_once(make))
    assert given[1:] == ["RESOURCE_ALREADY_EXISTS"] * (CLIENTS - 1)
    assert [queue.name for queue in services.store.list_review_queues(Within())] == given[:1]


def test_a_question_never_changes_under_traces_that_come_meanwhile(services: Services) -> None:
    asked = [
        wire.CreateLabelSchema(experiment_id="0", name=name, type=1, input=YES_OR_NO) for name in ("a", "b")
    ]
    ids = [str(labels.create_schema(services, each, caller(0))["schema_id"]) for each in asked]
    for turn in range(ROUNDS):
        queue_id = a_queue(services, f"turn {turn}", ids[0])

        def act(number: int, queue_id: str = queue_id) -> bool:
            if number:
                put = wire.AddReviewItems(queue_id=queue_id, item_ids=(f"tr-{number - 1}",))
                review_items.add_items(services, put, caller(number))
                return True
            message = wire.UpdateReviewQueue(queue_id=queue_id, update_schema_ids=True, schema_ids=(ids[1],))
            try:
                reviews.update_queue(services, message, caller(number))
            except MlflowFault:
                return False
            return True

        changed = at_once(act)[0]
        queue = services.store.get_review_queue(queue_id)
        assert queue.schema_ids == ((ids[1],) if changed else (ids[0],))
        first = min(item.created_at for item in services.store.list_review_items(queue_id))
        # It was changed before the first trace came, or not at all.
        assert not changed or queue.updated_at <= first


def test_of_those_who_finish_a_trace_at_once_one_has_done_it(services: Services) -> None:
    for turn in range(ROUNDS):
        queue_id = a_queue(services, f"turn {turn}")
        put = wire.AddReviewItems(queue_id=queue_id, item_ids=("tr-0",))
        review_items.add_items(services, put, caller(0))
        said = wire.SetReviewStatus(queue_id=queue_id, item_id="tr-0", status="COMPLETE")

        def finish(number: int, said: wire.SetReviewStatus = said) -> dict[str, Any]:
            return dict(review_items.set_status(services, said, caller(number))["item"])

        given = at_once(finish)
        assert all(item == given[0] for item in given)
        assert services.store.count_review_items([queue_id]) == {queue_id: {ReviewStatus.COMPLETE: 1}}


def test_traces_that_several_put_at_once_are_there_once(services: Services) -> None:
    queue_id = a_queue(services, "shared")
    put = wire.AddReviewItems(queue_id=queue_id, item_ids=("tr-2", "tr-0", "tr-1"))

    def act(number: int) -> list[str]:
        return [item["item_id"] for item in review_items.add_items(services, put, caller(number))["items"]]

    assert at_once(act) == [["tr-2", "tr-0", "tr-1"]] * CLIENTS
    assert len(services.store.list_review_items(queue_id)) == 3


def test_the_traces_of_an_issue_are_counted_by_an_index(tmp_path: Path) -> None:
    """Without it a page of issues reads, for each of them, all that was ever said of traces."""
    asked: list[tuple[str, Any]] = []
    with opened(f"sqlite:///{tmp_path / 'relive.db'}") as store:
        event.listen(store._db.engine, "before_cursor_execute", lambda *told: asked.append(told[2:4]))
        store.search_issues(Within(), count=True)
        statement, parameters = asked[-1]
        with store._db.read() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row.detail for row in plan]
    assert "SEARCH assessments USING INDEX assessments_issue (name=?)" in steps
