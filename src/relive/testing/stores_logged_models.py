"""What every store promises of logged models."""

import math
from typing import Any

import pytest

from relive.core.logged_model import LoggedModel, LoggedModelStatus, ModelMetric, OnDataset, Ranking
from relive.core.search import Field, Side
from relive.core.search_grammars import LOGGED_MODELS
from relive.core.search_parser import parse_filter
from relive.errors import Conflict, InvalidInput, NotFound
from relive.ports.stores import Store
from relive.testing.stores_samples import START, ManualClock, a_project, a_run, new_id


def a_logged_model(
    store: Store, *, params: dict[str, str] | None = None, tags: dict[str, str] | None = None, **changes: Any
) -> LoggedModel:
    """Create a logged model in the project `demo`, or another's experiment."""
    experiment = changes.pop("experiment_id", "") or store.ensure_experiment(a_project(store).id, "tries").id
    attributes: dict[str, Any] = {"id": f"m-{new_id()}", "name": "net", "artifact_location": "here"}
    model = LoggedModel(experiment_id=experiment, **(attributes | changes))
    return store.create_logged_model(model, params=params or {}, tags=tags or {})


class LoggedModelContract:
    """Promises of `LoggedModelStore`."""

    def test_a_logged_model_comes_back_as_it_was(self, store: Store) -> None:
        made = a_logged_model(store, params={"lr": "0.1"}, tags={"team": "blue"}, model_type="agent")
        assert (made.created_at, made.updated_at, made.status) == (START, START, LoggedModelStatus.PENDING)
        assert store.get_logged_model(made.id) == made
        assert store.list_logged_model_params([made.id]) == {made.id: {"lr": "0.1"}}
        assert store.list_logged_model_tags([made.id]) == {made.id: {"team": "blue"}}
        with pytest.raises(NotFound, match="m-none"):
            store.get_logged_model("m-none")
        with pytest.raises(Conflict):
            a_logged_model(store, id=made.id)

    def test_many_are_given_in_the_order_asked(self, store: Store) -> None:
        one, two = a_logged_model(store), a_logged_model(store)
        assert store.list_logged_models([two.id, "m-none", one.id]) == [two, one]

    def test_a_logged_model_changes_where_it_may(self, store: Store, clock: ManualClock) -> None:
        made = a_logged_model(store)
        clock.advance(5)
        changed = store.set_logged_model(made.id, status=LoggedModelStatus.READY, deleted_at=START + 5)
        assert (changed.status, changed.deleted_at) == (LoggedModelStatus.READY, START + 5)
        assert store.get_logged_model(made.id) == changed
        with pytest.raises(InvalidInput, match="artifact_location"):
            store.set_logged_model(made.id, artifact_location="elsewhere")
        with pytest.raises(NotFound):
            store.set_logged_model("m-none", status=LoggedModelStatus.READY)

    def test_a_param_of_a_model_is_set_once_and_all_or_none(self, store: Store) -> None:
        made = a_logged_model(store, params={"lr": "0.1"})
        store.record_logged_model_params(made.id, {"depth": "3"})
        with pytest.raises(Conflict):
            store.record_logged_model_params(made.id, {"width": "4", "lr": "0.2"})
        assert store.list_logged_model_params([made.id])[made.id] == {"depth": "3", "lr": "0.1"}

    def test_tags_of_a_model_change_and_go(self, store: Store) -> None:
        made = a_logged_model(store, tags={"a": "1", "b": "2"})
        store.set_logged_model_tags(made.id, {"a": "3", "c": "4"})
        assert store.delete_logged_model_tag(made.id, "b")
        assert not store.delete_logged_model_tag(made.id, "b")
        assert store.list_logged_model_tags([made.id]) == {made.id: {"a": "3", "c": "4"}}
        with pytest.raises(Conflict):
            store.set_logged_model_tags("m-none", {"a": "1"})

    def test_metrics_of_a_model_are_kept_once_each(self, store: Store) -> None:
        made, run = a_logged_model(store), a_run(store)
        points = [
            ModelMetric(model_id=made.id, run_id=run.id, key="acc", value=value, step=step, at=START)
            for step, value in enumerate([0.5, math.inf, -math.inf])
        ]
        on_data = ModelMetric(
            model_id=made.id,
            run_id=run.id,
            key="acc",
            value=0.5,
            at=START,
            dataset_name="d",
            dataset_digest="1",
        )
        store.record_model_metrics([*points, on_data])
        store.record_model_metrics([*points, on_data])
        assert set(store.list_model_metrics([made.id])[made.id]) == {*points, on_data}
        assert store.list_model_metrics(["m-none"]) == {}

    def test_a_metric_of_a_model_may_be_nan(self, store: Store) -> None:
        made, run = a_logged_model(store), a_run(store)
        store.record_model_metrics(
            [ModelMetric(model_id=made.id, run_id=run.id, key="loss", value=math.nan, at=START)]
        )
        (point,) = store.list_model_metrics([made.id])[made.id]
        assert math.isnan(point.value)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", "cba"),
            ("name = 'a'", "a"),
            ("attributes.name != 'a'", "cb"),
            ("metrics.acc > 0.5", "b"),
            ("metrics.acc >= 0.5 AND name LIKE '%'", "ba"),
            ("params.lr = '0.1'", "a"),
            ("tags.team IN ('blue', 'red')", "b"),
            ("NOT metrics.acc > 0.5", "ca"),
            ("status = 'ready'", "c"),
            ("creation_timestamp > 1800000001000", "cb"),
        ],
    )
    def test_logged_models_are_found(
        self, store: Store, clock: ManualClock, text: str, expected: str
    ) -> None:
        experiment = three_models(store, clock)
        found = store.search_logged_models([experiment], parse_filter(text, LOGGED_MODELS))
        assert "".join(model.name for model in found) == expected
        assert store.search_logged_models(["none"], parse_filter(text, LOGGED_MODELS)) == []

    def test_logged_models_are_found_by_what_they_were_measured_on(
        self, store: Store, clock: ManualClock
    ) -> None:
        experiment = three_models(store, clock)

        def names(*datasets: OnDataset, text: str = "") -> str:
            condition = parse_filter(text, LOGGED_MODELS)
            found = store.search_logged_models([experiment], condition, datasets=datasets)
            return "".join(model.name for model in found)

        assert names(OnDataset(name="d")) == "ba"
        assert names(OnDataset(name="d", digest="2")) == "b"
        assert names(OnDataset(name="d", digest="1"), OnDataset(name="e")) == "a"
        assert names(OnDataset(name="d"), text="metrics.acc < 0.6") == "a"
        assert names(OnDataset(name="e")) == ""

    def test_logged_models_are_sorted_and_paged(self, store: Store, clock: ManualClock) -> None:
        experiment = three_models(store, clock)

        def names(*rankings: Ranking, limit: int = 9, offset: int = 0) -> str:
            found = store.search_logged_models([experiment], rankings=rankings, limit=limit, offset=offset)
            return "".join(model.name for model in found)

        accuracy, name = Field(Side.METRIC, "acc"), Field(Side.ATTRIBUTE, "name")
        assert names(Ranking(field=name)) == "abc"
        assert names(Ranking(field=accuracy)) == "abc"
        assert names(Ranking(field=accuracy, ascending=False)) == "bac"
        other = OnDataset(name="d", digest="2")
        assert names(Ranking(field=accuracy, dataset=other)) == "bca"
        assert names(Ranking(field=name), limit=1, offset=1) == "b"

    def test_a_model_that_was_put_aside_is_not_found(self, store: Store, clock: ManualClock) -> None:
        experiment = three_models(store, clock)
        (newest, *_) = store.search_logged_models([experiment])
        store.set_logged_model(newest.id, deleted_at=START)
        assert len(store.search_logged_models([experiment])) == 2
        assert store.get_logged_model(newest.id).deleted_at == START


def three_models(store: Store, clock: ManualClock) -> str:
    """Keep models a, b and c, a second apart, with what tells them apart; gives their experiment's id."""
    made, run = {}, a_run(store)
    for name in "abc":
        clock.advance(1)
        made[name] = a_logged_model(store, name=name, params={"lr": "0.1"} if name == "a" else {})
    store.set_logged_model_tags(made["b"].id, {"team": "blue"})
    store.set_logged_model(made["c"].id, status=LoggedModelStatus.READY)
    points = [("a", 0.5, 1, "d", "1"), ("b", 0.7, 0, "d", "2"), ("c", math.nan, 0, "", "")]
    store.record_model_metrics(
        [
            ModelMetric(
                model_id=made[name].id,
                key="acc",
                run_id=run.id,
                value=value,
                step=step,
                at=START,
                dataset_name=dataset,
                dataset_digest=digest,
            )
            for name, value, step, dataset, digest in points
        ]
    )
    return made["a"].experiment_id
