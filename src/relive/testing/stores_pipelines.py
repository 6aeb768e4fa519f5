"""What every store promises of pipelines, stages, the stage cache and environments."""

import pytest

from relive.core.pipeline import PipelineSpec, PipelineStatus, StageSpec, StageStatus
from relive.errors import Conflict, InvalidInput, NotFound
from relive.ports.stores import Store
from relive.testing.stores_samples import START, ManualClock, a_pipeline, a_project, new_id, stage_of


class PipelineContract:
    """Promises of `PipelineStore` about pipelines."""

    def test_a_pipeline_comes_back_as_it_was(self, store: Store) -> None:
        spec = PipelineSpec(
            stages=(StageSpec(name="train", cmd=("a", "b"), matrix={"seed": [1, 2]}),), vars={"x": 1}
        )
        pipeline = a_pipeline(store, spec=spec, warnings=("one", "two"), started_at=START)
        assert (pipeline.number, pipeline.created_at) == (1, START)
        assert store.get_pipeline(pipeline.id) == pipeline
        assert store.get_pipeline(pipeline.id).spec == spec

    def test_pipelines_are_numbered_within_their_project(self, store: Store) -> None:
        other = a_project(store, "other")
        numbers = [a_pipeline(store).number for _ in range(3)]
        assert numbers == [1, 2, 3]
        first = a_pipeline(store, project_id=other.id)
        assert store.find_pipeline(other.id, 1) == first
        assert store.find_pipeline(other.id, 2) is None

    def test_a_number_is_taken_once_before_its_pipeline_is_there(self, store: Store) -> None:
        project_id = a_project(store).id
        first, second = store.take_pipeline_number(project_id), store.take_pipeline_number(project_id)
        assert (first, second) == (1, 2)
        assert a_pipeline(store).number == 3
        assert a_pipeline(store, number=second).number == 2
        with pytest.raises(Conflict):
            a_pipeline(store, number=second)
        with pytest.raises(NotFound, match="project"):
            store.take_pipeline_number(new_id())

    def test_later_pipelines_are_those_of_the_ref_with_greater_numbers(self, store: Store) -> None:
        other = a_project(store, "other")
        a_pipeline(store, number=1, project_id=other.id)
        later = [a_pipeline(store, number=number) for number in (4, 3)]
        a_pipeline(store, number=2)
        a_pipeline(store, number=5, ref="refs/heads/try")
        found = store.list_later_pipelines(later[0].project_id, later[0].ref, number=2)
        assert found == later
        page = store.list_later_pipelines(later[0].project_id, later[0].ref, number=1, limit=2)
        assert page == later
        rest = store.list_later_pipelines(later[0].project_id, later[0].ref, number=1, below=3)
        assert [pipeline.number for pipeline in rest] == [2]
        assert store.list_later_pipelines(other.id, later[0].ref, number=1) == []

    def test_a_failed_creation_takes_no_number(self, store: Store) -> None:
        pipeline = a_pipeline(store)
        with pytest.raises(Conflict):
            a_pipeline(store, id=pipeline.id)
        assert a_pipeline(store).number == 2

    def test_a_pipeline_needs_its_project(self, store: Store) -> None:
        with pytest.raises(NotFound, match="project"):
            a_pipeline(store, project_id=new_id())

    def test_pipelines_are_listed_newest_first(self, store: Store, clock: ManualClock) -> None:
        other = a_project(store, "other")
        ids = []
        for status in (PipelineStatus.QUEUED, PipelineStatus.SUCCEEDED, PipelineStatus.RUNNING):
            ids.append(a_pipeline(store, status=status, commit=status.value).id)
            clock.advance(1)
        elsewhere = a_pipeline(store, project_id=other.id)
        project_id = a_project(store).id
        assert [it.id for it in store.list_pipelines(project_id=project_id)] == ids[::-1]
        assert [it.id for it in store.list_pipelines(project_id=project_id, active=True)] == [ids[2], ids[0]]
        assert [it.id for it in store.list_pipelines(active=False)] == [ids[1]]
        assert [it.id for it in store.list_pipelines(commit="running")] == [ids[2]]
        assert [it.id for it in store.list_pipelines(limit=2)] == [elsewhere.id, ids[2]]
        assert [it.id for it in store.list_pipelines(limit=2, offset=2)] == [ids[1], ids[0]]

    def test_a_pipeline_changes_where_it_may(self, store: Store) -> None:
        pipeline = a_pipeline(store)
        changed = store.set_pipeline(pipeline.id, status=PipelineStatus.GATED, ended_at=5.0, warnings=("w",))
        assert (changed.status, changed.ended_at, changed.warnings) == (PipelineStatus.GATED, 5.0, ("w",))
        assert store.get_pipeline(pipeline.id) == changed
        with pytest.raises(InvalidInput, match="number"):
            store.set_pipeline(pipeline.id, number=9)
        with pytest.raises(NotFound):
            store.set_pipeline(new_id(), title="x")


class StageContract:
    """Promises of `PipelineStore` about stages and what they leave behind."""

    def test_stages_come_back_in_their_order(self, store: Store) -> None:
        pipeline = a_pipeline(store)
        stages = [
            stage_of(pipeline, "train", position=1, result={"n": [1, None]}, cache_facts={"cmd": "x"}),
            stage_of(pipeline, "prep", position=0),
        ]
        store.create_stages(stages)
        store.create_stages([])
        assert store.list_stages(pipeline.id) == stages[::-1]
        assert store.get_stage(stages[0].id) == stages[0]
        with pytest.raises(NotFound):
            store.get_stage(new_id())

    def test_stages_are_created_all_or_none(self, store: Store) -> None:
        pipeline = a_pipeline(store)
        with pytest.raises(Conflict):
            store.create_stages([stage_of(pipeline, "a"), stage_of(pipeline, "b"), stage_of(pipeline, "a")])
        assert store.list_stages(pipeline.id) == []

    def test_a_stage_changes_only_from_the_expected_status(self, store: Store) -> None:
        pipeline = a_pipeline(store)
        stage = stage_of(pipeline)
        store.create_stages([stage])
        assert store.set_stage(stage.id, expect="running", reason="no") is None
        assert store.get_stage(stage.id) == stage
        moved = store.set_stage(
            stage.id, expect="waiting", status=StageStatus.RUNNING, started_at=1.0, attempts=1
        )
        assert moved is not None
        assert (moved.status, moved.started_at, moved.attempts) == (StageStatus.RUNNING, 1.0, 1)
        back = store.set_stage(stage.id, status=StageStatus.WAITING, started_at=None)
        assert back is not None
        assert back.started_at is None
        with pytest.raises(NotFound):
            store.set_stage(new_id(), expect="waiting", reason="x")

    def test_a_scope_of_trust_is_read_only_by_those_who_name_it(self, store: Store) -> None:
        store.record_cached("p", "key", "from a branch", scope="refs/heads/a")
        assert store.find_cached("p", "key", scopes=("protected",)) is None
        assert store.find_cached("p", "key", scopes=("protected", "refs/heads/b")) is None
        assert store.find_cached("p", "key", scopes=("protected", "refs/heads/a")) == "from a branch"
        store.record_cached("p", "key", "from main", scope="protected")
        assert store.find_cached("p", "key", scopes=("protected",)) == "from main"
        assert store.find_cached("p", "key", scopes=("protected", "refs/heads/a")) == "from main"
        assert store.find_cached("other", "key", scopes=("protected", "refs/heads/a")) is None

    def test_the_newest_run_of_a_key_is_found(self, store: Store) -> None:
        store.record_cached("p", "key", "one", scope="protected")
        store.record_cached("p", "key", "two", scope="protected")
        assert store.find_cached("p", "key", scopes=("protected",)) == "two"

    def test_an_environment_is_found_by_its_key(self, store: Store) -> None:
        assert store.find_environment("key") is None
        store.record_environment("key", "one")
        store.record_environment("key", "two")
        assert store.find_environment("key") == "two"
