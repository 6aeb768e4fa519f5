"""What every store promises of logged models."""

import math
from typing import Any

import pytest

from relive.core.logged_model import LoggedModel, LoggedModelStatus, ModelLink, ModelMetric
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

    def test_links_say_which_run_read_and_made_a_model(self, store: Store, clock: ManualClock) -> None:
        made, run, other = a_logged_model(store), a_run(store), a_run(store)
        output = ModelLink(run_id=run.id, model_id=made.id, role="output", step=3, at=START)
        store.record_model_links([output])
        clock.advance(5)
        store.record_model_links([output, ModelLink(run_id=run.id, model_id=made.id, role="input")])
        store.record_model_links([])
        assert store.list_model_links([run.id, other.id]) == {
            run.id: [
                output,
                ModelLink(run_id=run.id, model_id=made.id, role="input", at=START + 5),
            ]
        }
