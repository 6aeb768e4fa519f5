"""What every store promises of counts, groups and cells of tables of runs."""

import math

import pytest

from relive.core.run import Metric, RunStatus
from relive.core.search import Comparison, Field, Not, Side
from relive.errors import InvalidInput
from relive.ports.run_tables import KeyUse, RunGroup
from relive.ports.search import Search, View
from relive.ports.stores import Store
from relive.testing.stores_samples import START, a_project, a_run

_LR, _LOSS = Field(Side.PARAM, "lr"), Field(Side.METRIC, "loss")


class RunTableContract:
    """Promises of `RunTableStore`."""

    def test_what_a_search_finds_is_counted(self, store: Store) -> None:
        ids = [a_run(store, name=name).id for name in ("one", "two", "six", "yes", "zoo")]
        a_run(store, project_id=a_project(store, "other").id)
        store.set_run(ids[0], deleted_at=START)
        store.record_params(ids[1], {"lr": 1})
        here = a_project(store).id
        assert store.count_found(Search()) == 5
        assert store.count_found(Search(project_id=here)) == 4
        assert store.count_found(Search(project_id=here), most=2) == 3
        assert store.count_found(Search(project_id=here, view=View.DELETED)) == 1
        assert store.count_found(Search(project_id=here, view=View.ALL)) == 5
        assert store.count_found(Search(project_id=here, text="zoo")) == 1
        has_lr = Comparison(_LR, "IS NOT NULL")
        assert store.count_found(Search(project_id=here, condition=has_lr)) == 1
        assert store.count_found(Search(project_id=here, condition=Not(has_lr))) == 3

    def test_runs_are_grouped_by_a_param_with_a_metric_summed_up(self, store: Store) -> None:
        for lr, loss in ((0.1, 1.0), (0.1, 3.0), (0.2, 5.0), (None, 7.0), (0.1, math.nan)):
            run = a_run(store)
            store.record_metrics(run.id, [Metric("loss", loss)])
            if lr is not None:
                store.record_params(run.id, {"lr": lr})
        search = Search(project_id=a_project(store).id)
        first, *rest = store.group_runs(search, _LR, metric="loss")
        assert first == RunGroup(value="0.1", runs=3, measured=2, mean=2.0, min=1.0, max=3.0)
        assert {(group.value, group.runs, group.mean) for group in rest} == {("0.2", 1, 5.0), (None, 1, 7.0)}
        assert store.group_runs(search, _LR, limit=1) == [RunGroup(value="0.1", runs=3)]
        # A condition may ask about what is grouped by and summed up.
        few = Search(project_id=search.project_id, condition=Comparison(_LOSS, ">", 2.0))
        assert {(group.value, group.runs) for group in store.group_runs(few, _LR, metric="loss")} == {
            ("0.1", 1),
            ("0.2", 1),
            (None, 1),
        }

    def test_runs_are_grouped_by_tags_and_attributes(self, store: Store) -> None:
        one, two = a_run(store, actor="ann"), a_run(store, actor="ben", status=RunStatus.FAILED)
        store.set_tags(one.id, {"team": "x"})
        store.record_params(two.id, {"opt": "sgd", "deep": True})
        search = Search(project_id=a_project(store).id)

        def groups(side: Side, key: str) -> dict[str | None, int]:
            return {it.value: it.runs for it in store.group_runs(search, Field(side, key))}

        assert groups(Side.TAG, "team") == {"x": 1, None: 1}
        assert groups(Side.PARAM, "opt") == {"sgd": 1, None: 1}
        assert groups(Side.PARAM, "deep") == {"true": 1, None: 1}
        assert groups(Side.ATTRIBUTE, "actor") == {"ann": 1, "ben": 1}
        assert groups(Side.ATTRIBUTE, "state") == {"running": 1, "failed": 1}
        for field in (_LOSS, Field(Side.ATTRIBUTE, "created_at")):
            with pytest.raises(InvalidInput, match="group"):
                store.group_runs(search, field)

    def test_keys_that_tell_runs_apart_come_first(self, store: Store) -> None:
        ids = [a_run(store).id for _ in range(3)]
        for index, run_id in enumerate(ids):
            store.record_params(run_id, {"same": 1, "other": index, **({"rare": 1} if index else {})})
            store.record_metrics(run_id, [Metric("loss", float(index))])
        assert store.list_key_uses(ids, Side.PARAM) == [
            KeyUse("other", 3, True),
            KeyUse("same", 3, False),
            KeyUse("rare", 2, False),
        ]
        assert store.list_key_uses(ids, Side.PARAM, limit=1) == [KeyUse("other", 3, True)]
        assert store.list_key_uses(ids, Side.METRIC) == [KeyUse("loss", 3, True)]
        assert store.list_key_uses([], Side.TAG) == []

    def test_single_cells_are_given(self, store: Store) -> None:
        one, two = a_run(store).id, a_run(store).id
        store.record_params(one, {"lr": 0.5, "layers": [1, 2], "not asked": 1})
        store.record_metrics(one, [Metric("loss", 2.0, 0), Metric("loss", 1.0, 1)])
        store.record_metrics(two, [Metric("loss", math.nan)])
        store.set_tags(two, {"team": "x"})
        layers, team = Field(Side.PARAM, "layers"), Field(Side.TAG, "team")
        cells = store.list_cells([one, two], [_LR, layers, team, _LOSS, Field(Side.TAG, "none")])
        assert math.isnan(cells.pop((two, _LOSS)))
        assert cells == {(one, _LR): 0.5, (one, layers): [1, 2], (two, team): "x", (one, _LOSS): 1.0}
        assert store.list_cells([one], []) == {}
