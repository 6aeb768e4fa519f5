"""What every store promises of experiments, and of what tracking clients say that runs read and made."""

import pytest

from relive.core.dataset import DatasetSummary, DatasetUse, LoggedDataset, ModelUse
from relive.core.project import Experiment
from relive.errors import Conflict, InvalidInput, NotFound
from relive.ports.stores import Store
from relive.testing.stores_samples import ManualClock, a_project, a_run, new_id


class ExperimentContract:
    """Promises of `ExperimentStore`."""

    def test_an_experiment_is_made_once(self, store: Store) -> None:
        demo, other = a_project(store), a_project(store, "other")
        first = store.ensure_experiment(demo.id, "default")
        assert store.ensure_experiment(demo.id, "default") == first
        assert store.ensure_experiment(other.id, "default") != first
        assert store.get_experiment(first.id) == first
        with pytest.raises(NotFound):
            store.get_experiment(new_id())

    def test_an_experiment_without_a_project_is_the_oldest_of_its_name(
        self, store: Store, clock: ManualClock
    ) -> None:
        first = store.ensure_experiment(a_project(store).id, "default")
        clock.advance(1)
        second = store.ensure_experiment(a_project(store, "other").id, "default")
        assert store.find_experiment("default") == first
        assert store.find_experiment("default", second.project_id) == second
        assert store.find_experiment("none") is None
        assert store.list_experiments() == [first, second]
        assert store.list_experiments(second.project_id) == [second]

    def test_an_experiment_needs_its_project(self, store: Store) -> None:
        with pytest.raises(Conflict):
            store.ensure_experiment(new_id(), "default")

    def test_an_experiment_is_created_with_its_tags(self, store: Store, clock: ManualClock) -> None:
        new = Experiment(
            id="0",
            project_id=a_project(store).id,
            name="Ünï",
            artifact_location="s3://b/x",
            created_by="ann",
        )
        made = store.create_experiment(new, {"a": "1", "b": ""})
        assert (made.id, made.created_at, made.artifact_location) == ("0", clock.now, "s3://b/x")
        assert store.get_experiment("0") == made
        assert store.list_experiment_tags(["0", "1"]) == {"0": {"a": "1", "b": ""}}

    def test_a_taken_name_is_refused_even_if_its_experiment_is_deleted(self, store: Store) -> None:
        project = a_project(store)
        first = store.create_experiment(Experiment(id="", project_id=project.id, name="one"), {})
        other = store.create_experiment(Experiment(id="", project_id=project.id, name="two"), {})
        store.delete_experiment(first.id)
        with pytest.raises(Conflict):
            store.create_experiment(Experiment(id="", project_id=project.id, name="one"), {"a": "1"})
        with pytest.raises(Conflict):
            store.set_experiment(other.id, name="one")
        assert store.get_experiment(other.id) == other

    def test_an_experiment_changes_its_name(self, store: Store, clock: ManualClock) -> None:
        made = store.ensure_experiment(a_project(store).id, "one")
        clock.advance(1)
        changed = store.set_experiment(made.id, name="two")
        assert (changed.name, changed.updated_at) == ("two", clock.now)
        assert store.get_experiment(made.id) == changed
        with pytest.raises(InvalidInput, match="project_id"):
            store.set_experiment(made.id, project_id="x")
        with pytest.raises(NotFound):
            store.set_experiment(new_id(), name="three")

    def test_what_is_deleted_and_restored_takes_its_runs_along(
        self, store: Store, clock: ManualClock
    ) -> None:
        run, other = (
            a_run(store),
            a_run(store, experiment_id=store.ensure_experiment(a_project(store).id, "o").id),
        )
        gone = store.delete_experiment(run.experiment_id)
        assert gone.deleted_at == gone.updated_at == clock.now
        assert store.list_experiments(deleted=True) == [gone]
        assert gone not in store.list_experiments()
        assert store.list_runs() == [other]
        assert store.get_run(run.id).deleted_at == clock.now
        back = store.restore_experiment(run.experiment_id)
        assert back.deleted_at is None
        assert back in store.list_experiments()
        assert store.get_run(run.id) == run
        with pytest.raises(NotFound):
            store.delete_experiment(new_id())

    def test_a_deleted_experiment_is_taken_up_again_by_who_needs_it(self, store: Store) -> None:
        run = a_run(store)
        gone = store.delete_experiment(run.experiment_id)
        again = store.ensure_experiment(gone.project_id, gone.name)
        assert (again.id, again.deleted_at) == (gone.id, None)
        assert store.list_runs() == []

    def test_a_tag_is_set_again_and_taken_away_once(self, store: Store) -> None:
        made = store.ensure_experiment(a_project(store).id, "one")
        store.set_experiment_tags(made.id, {"a": "1", "b": "2"})
        store.set_experiment_tags(made.id, {"a": "3"})
        assert store.delete_experiment_tag(made.id, "b")
        assert not store.delete_experiment_tag(made.id, "b")
        assert store.list_experiment_tags([made.id]) == {made.id: {"a": "3"}}


def a_use(name: str = "iris", digest: str = "d1", **tags: str) -> DatasetUse:
    """Make the use of a data set."""
    dataset = LoggedDataset(name=name, digest=digest, source_type="local", source="{}", schema="[]")
    return DatasetUse(dataset=dataset, tags=tags)


class DatasetContract:
    """Promises of `DatasetStore`."""

    def test_what_a_run_read_is_listed_in_the_order_it_was_said(self, store: Store) -> None:
        run = a_run(store)
        uses = [a_use("b", context="train"), a_use("a", context="eval"), a_use("c")]
        store.record_datasets(run.id, uses)
        assert store.list_datasets([run.id, new_id()]) == {run.id: uses}
        store.record_datasets(run.id, [])

    def test_of_one_data_set_the_first_use_is_kept(self, store: Store, clock: ManualClock) -> None:
        run, other = a_run(store), a_run(store)
        store.record_datasets(run.id, [a_use(context="train"), a_use(context="eval")])
        clock.advance(1)
        store.record_datasets(run.id, [a_use(context="test"), a_use(digest="d2")])
        store.record_datasets(other.id, [a_use()])
        assert store.list_datasets([run.id, other.id]) == {
            run.id: [a_use(context="train"), a_use(digest="d2")],
            other.id: [a_use()],
        }

    def test_the_data_sets_of_experiments_are_told_once_a_context(self, store: Store) -> None:
        run, same = a_run(store), a_run(store)
        far = store.ensure_experiment(a_project(store).id, "far").id
        store.record_datasets(run.id, [a_use(context="train", x="1"), a_use("b")])
        store.record_datasets(same.id, [a_use(context="train", x="2")])
        store.record_datasets(a_run(store, experiment_id=far).id, [a_use()])
        here = run.experiment_id
        wanted = [
            DatasetSummary(experiment_id=here, name="b", digest="d1"),
            DatasetSummary(experiment_id=here, name="iris", digest="d1", context="train"),
        ]
        assert store.list_dataset_summaries([here], context_tag="context", limit=9) == wanted
        assert len(store.list_dataset_summaries([here, far], context_tag="context", limit=9)) == 3
        assert len(store.list_dataset_summaries([here, far], context_tag="context", limit=2)) == 2

    def test_models_read_and_made_are_told_in_their_order(self, store: Store) -> None:
        run = a_run(store)
        uses = [
            ModelUse(model_id="m-b", role="output", step=2),
            ModelUse(model_id="m-a", role="output", step=1),
            ModelUse(model_id="m-b", role="input"),
        ]
        store.record_model_uses(run.id, uses)
        store.record_model_uses(run.id, uses[:2])
        store.record_model_uses(run.id, [])
        assert store.list_model_uses([run.id, new_id()]) == {run.id: uses}

    def test_an_unknown_run_reads_and_makes_nothing(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.record_datasets(new_id(), [a_use()])
        with pytest.raises(NotFound):
            store.record_model_uses(new_id(), [ModelUse(model_id="m", role="input")])
