"""What every store promises of saved views and of the names that are completed."""

from relive.core.run import Metric
from relive.core.saved_view import SavedView
from relive.core.search import Side
from relive.ports.stores import Store
from relive.testing.stores_samples import START, ManualClock, a_project, a_run


class ViewContract:
    """Promises of `ViewStore`."""

    def test_a_view_is_saved_once_by_its_name(self, store: Store, clock: ManualClock) -> None:
        project, other = a_project(store), a_project(store, "other")
        first = store.save_view(_view(project.id, "best", "sort=name", created_by="ann"))
        assert (first.created_at, bool(first.id)) == (START, True)
        clock.advance(5)
        again = store.save_view(_view(project.id, "best", "sort=-name", created_by="ben"))
        assert (again.id, again.created_by, again.query) == (first.id, "ann", "sort=-name")
        assert again.created_at == START
        assert store.find_view(project.id, "best") == again
        assert store.find_view(other.id, "best") is None
        also = store.save_view(_view(project.id, "a", ""))
        assert store.list_views(project.id) == [also, again]
        assert store.list_views(other.id) == []

    def test_a_view_is_deleted_once(self, store: Store) -> None:
        view = store.save_view(_view(a_project(store).id, "best", "x=1"))
        assert [store.delete_view(view.id), store.delete_view(view.id)] == [True, False]
        assert store.list_views(view.project_id) == []

    def test_keys_are_found_by_a_text_they_hold(self, store: Store) -> None:
        project, run = a_project(store), a_run(store)
        store.record_params(run.id, {"lr": 1, "LR_decay": 2, "colr": 3, "model.lr": 4, "seed": 5})
        store.set_tags(run.id, {"team": "x"})
        store.record_metrics(run.id, [Metric("loss", 1.0), Metric("val/loss", 2.0)])
        assert store.list_keys(project.id, Side.PARAM, find="lr") == ["LR_decay", "lr", "colr", "model.lr"]
        assert store.list_keys(project.id, Side.PARAM, find="LR", limit=2) == ["LR_decay", "lr"]
        assert len(store.list_keys(project.id, Side.PARAM)) == 5
        assert store.list_keys(project.id, Side.TAG) == ["team"]
        assert store.list_keys(project.id, Side.METRIC, find="loss") == ["loss", "val/loss"]
        assert store.list_keys(project.id, Side.METRIC, find="%") == []

    def test_keys_of_other_projects_are_not_given(self, store: Store) -> None:
        other = a_project(store, "other")
        store.record_params(a_run(store).id, {"both": 1, "mine": 1})
        store.record_params(a_run(store, project_id=other.id).id, {"both": 1, "theirs": 1})
        assert store.list_keys(a_project(store).id, Side.PARAM) == ["both", "mine"]
        assert store.list_keys(other.id, Side.PARAM) == ["both", "theirs"]

    def test_a_key_of_an_old_run_is_found(self, store: Store, clock: ManualClock) -> None:
        store.record_params(a_run(store).id, {"old": 1})
        for _ in range(101):
            clock.advance(1)
            a_run(store)
        assert store.list_keys(a_project(store).id, Side.PARAM) == ["old"]


def _view(project_id: str, name: str, query: str, created_by: str = "") -> SavedView:
    return SavedView(id="", project_id=project_id, name=name, query=query, created_by=created_by)
