"""What every store promises of search: conditions mean what they say, and pages go on in any order."""

import math

import pytest

from relive.core import search_grammars as grammars
from relive.core.dataset import DatasetUse, LoggedDataset
from relive.core.run import Metric, RunKind, RunStatus
from relive.core.search import Comparison, Field, Side
from relive.core.search_parser import parse_filter, parse_orders
from relive.errors import InvalidInput
from relive.ports.search import Search, View
from relive.ports.stores import Store
from relive.testing.stores_samples import START, ManualClock, a_project, a_run, new_id


def _fill(store: Store) -> None:
    """Make runs a, b, c: begun one after the other, c of another experiment and still running."""
    done = {"status": RunStatus.FINISHED, "actor": "ann", "ended_at": START + 10}
    a = a_run(store, name="a", started_at=START + 1, **done)
    b = a_run(store, name="b_1", started_at=START + 2.0004, kind=RunKind.CLIENT, **(done | {"actor": "Bob"}))
    other = store.ensure_experiment(a.project_id, "other")
    c = a_run(store, name="c*[1]", experiment_id=other.id, started_at=START + 3)
    store.record_metrics(a.id, [Metric("acc", 0.1, 0), Metric("acc", 0.9, 1), Metric("a b", -1.5)])
    store.record_metrics(b.id, [Metric("acc", math.nan), Metric("loss", math.inf)])
    store.record_params(a.id, {"lr": "0.1", "model": "resnet", "quote": 'say "it\\'})
    store.record_params(b.id, {"lr": 0.1, "model": "ResNet", "flag": True})
    store.record_params(c.id, {"lr": "0.01", "empty": ""})
    store.set_tags(a.id, {"team": "50%", "x.y": "1"})
    store.set_tags(b.id, {"team": "50x", "mlflow.runName": "shown"})
    data = LoggedDataset(name="mnist", digest="d1", source_type="local", source="{}")
    store.record_datasets(a.id, [DatasetUse(dataset=data, tags={"mlflow.data.context": "train"})])
    store.record_datasets(b.id, [DatasetUse(dataset=data, tags={})])


def _names(store: Store, text: str = "", order: str = "start_time", **search: object) -> list[str]:
    condition = parse_filter(text, grammars.OWN_RUNS)
    orders = parse_orders([it.strip() for it in order.split(",")], grammars.OWN_RUNS)
    found = store.search_runs(Search(condition=condition, orders=orders, **search))  # type: ignore[arg-type]
    assert not found.next
    return [run.name[0] for run in found.runs]


class SearchContract:
    """Promises of `SearchStore`."""

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("", "abc"),
            ("metrics.acc > 0.5", "a"),
            ("metrics.acc <= 0.9", "a"),
            ("metrics.acc = 0.9", "a"),
            ("metrics.acc != 0.9", "b"),
            ("metrics.acc != 0.5", "ab"),
            ("NOT metrics.acc > 0.5", "bc"),
            ("metrics.`a b` < 0", "a"),
            ("metrics.loss > 1e300", "b"),
            ("metrics.loss >= 1e999", "b"),
            ("metrics.none != 1", ""),
            ("params.lr = '0.1'", "ab"),
            ("params.lr != '0.1'", "c"),
            ("params.lr LIKE '0.%'", "abc"),
            ("params.lr LIKE '0.0%'", "c"),
            ("params.model = 'resnet'", "a"),
            ("params.model LIKE 'res%'", "a"),
            ("params.model ILIKE 'RES%'", "ab"),
            ("params.model LIKE '_es_et'", "ab"),
            ("params.flag = 'true' or params.flag = 'x'", "b"),
            ("params.flag = 'True'", "b"),
            ("params.flag IS NULL", "ac"),
            ("params.flag IS NOT NULL", "b"),
            ("params.empty = ''", "c"),
            ("params.quote LIKE '% \"it\\'", "a"),
            ("params.quote = 'say \"it\\'", "a"),
            ("tags.team = '50%'", "a"),
            ("tags.team != '50%'", "b"),
            ("tags.team LIKE '50%'", "ab"),
            ("tags.team ILIKE '50X'", "b"),
            ("tags.x.y = '1'", "a"),
            ("tags.team IS NULL", "c"),
            ("tags.mlflow.user = 'ann'", "a"),
            ("tags.mlflow.runName = 'shown'", ""),
            ("tags.mlflow.runName = 'a'", "a"),
            ("run_name = 'a'", "a"),
            ("run_name LIKE 'c*[1]'", "c"),
            ("run_name LIKE '__[1]'", "c"),
            ("run_name LIKE 'b_1'", "b"),
            ("run_name LIKE 'B%'", ""),
            ("run_name ILIKE 'B%'", "b"),
            ("tags.mlflow.user IS NULL", "b"),
            ("tags.mlflow.runName IS NOT NULL", "abc"),
            ("user_id = 'ann'", "a"),
            ("user_id = 'unknown'", "b"),
            ("actor = 'Bob'", "b"),
            ("status = 'FINISHED'", "ab"),
            ("status = 'running'", "c"),
            ("status LIKE 'FIN%'", "ab"),
            ("status != 'FINISHED'", "c"),
            ("status IN ('finished', 'killed')", "ab"),
            ("kind = 'client'", "b"),
            ("experiment = 'other'", "c"),
            (f"start_time = {START * 1000 + 2000:.0f}", "b"),
            (f"start_time > {START * 1000 + 2000:.0f}", "c"),
            (f"start_time >= {START * 1000 + 2000:.0f}", "bc"),
            (f"start_time < {START * 1000 + 2000.5}", "ab"),
            (f"start_time != {START * 1000 + 2000:.0f}", "ac"),
            ("end_time > 0", "ab"),
            ("NOT end_time > 0", "c"),
            ("started_at < '2027-01-15T08:00:02'", "a"),
            ("dataset.name = 'mnist'", "ab"),
            ("dataset.digest LIKE 'd_'", "ab"),
            ("dataset.name IN ('x', 'mnist') AND dataset.context = 'train'", "a"),
            ("NOT dataset.context = 'train'", "bc"),
            ("metrics.acc > 0.5 OR (params.lr = '0.01' AND NOT tags.team IS NOT NULL)", "ac"),
            ("artifact_uri LIKE 'mlflow-artifacts:/%/artifacts'", "abc"),
        ],
    )
    def test_a_condition_means_what_it_says(self, store: Store, text: str, found: str) -> None:
        _fill(store)
        assert "".join(_names(store, text)) == found

    @pytest.mark.parametrize(
        ("order", "found"),
        [
            ("start_time DESC", "cba"),
            ("metrics.acc", "abc"),
            ("metrics.acc DESC", "abc"),
            ("metrics.loss DESC, start_time DESC", "bca"),
            ("params.lr, start_time DESC", "cba"),
            ("params.model DESC", "abc"),
            ("tags.team DESC", "bac"),
            ("end_time DESC, start_time DESC", "bac"),
            ("run_name DESC", "cba"),
            ("user_id, start_time", "cab"),
            ("status, start_time DESC", "bac"),
            ("metrics.none, created_at, name DESC", "cba"),
        ],
    )
    def test_an_order_puts_what_has_no_value_last(self, store: Store, order: str, found: str) -> None:
        _fill(store)
        assert "".join(_names(store, order=order)) == found
        names, after = [], ""
        orders = parse_orders([it.strip() for it in order.split(",")], grammars.OWN_RUNS)
        for _ in range(4):
            page = store.search_runs(Search(orders=orders, limit=1, after=after))
            names += [run.name[0] for run in page.runs]
            after = page.next
            if not after:
                break
        assert "".join(names) == found

    @pytest.mark.parametrize("direction", ["", " DESC"])
    def test_params_are_ordered_by_all_that_they_show(self, store: Store, direction: str) -> None:
        long = "é" * 250
        values = [
            "",
            '"',
            "10",
            7,
            "9",
            "a\tb",
            "a b",
            "a\\u0000",
            "a\\u0002",
            long,
            long + "\n",
            long + " x",
        ]
        shown = sorted(values, key=lambda value: str(value).encode(), reverse=bool(direction))
        runs = {value: a_run(store) for value in reversed(values)}
        for value, run in runs.items():
            store.record_params(run.id, {"p": value})
        without = a_run(store)
        found: list[str] = []
        after = ""
        orders = parse_orders([f"params.p{direction}"], grammars.OWN_RUNS)
        while len(found) <= len(values):
            page = store.search_runs(Search(orders=orders, limit=1, after=after))
            found += [run.id for run in page.runs]
            after = page.next
        assert found == [*(runs[value].id for value in shown), without.id]
        assert not after

    def test_a_param_with_nul_is_found_and_ordered(self, store: Store) -> None:
        for name, value in (("a", "x\0y"), ("b", "x\\u0000y"), ("c", "x"), ("d", {"k": "\0"})):
            store.record_params(a_run(store, name=name).id, {"p": value})
        assert _names(store, order="params.p") == ["c", "a", "b", "d"]
        assert _names(store, order="params.p DESC") == ["d", "b", "a", "c"]
        field = Field(Side.PARAM, "p")
        for value, name in (("x\0y", "a"), ("x\\u0000y", "b")):
            found = store.search_runs(Search(condition=Comparison(field, "=", value)))
            assert [run.name for run in found.runs] == [name]

    def test_a_search_stays_within_its_scope(self, store: Store) -> None:
        _fill(store)
        elsewhere = a_run(store, name="z", project_id=a_project(store, "elsewhere").id)
        (c,) = [run for run in store.list_runs() if run.name == "c*[1]"]
        assert _names(store, project_id=c.project_id) == ["a", "b", "c"]
        assert _names(store, experiment_ids=(c.experiment_id,)) == ["c"]
        assert _names(store, experiment_ids=(c.experiment_id, elsewhere.experiment_id)) == ["z", "c"]
        assert _names(store, experiment_ids=()) == []
        assert _names(store, text="", order="start_time", project_id=elsewhere.project_id) == ["z"]
        assert _names(store, project_id=new_id()) == []

    def test_words_narrow_a_search(self, store: Store) -> None:
        run = a_run(store, name="brave otter")
        a_run(store, name="calm wolf")
        found = store.search_runs(Search(text="bra OTT"))
        assert [it.id for it in found.runs] == [run.id]

    def test_deleted_runs_are_seen_when_asked_for(self, store: Store) -> None:
        kept, deleted = a_run(store, name="kept"), a_run(store, name="deleted")
        deleted = store.set_run(deleted.id, deleted_at=START)
        for order in ((), parse_orders(["metrics.acc"], grammars.RUNS)):
            assert store.search_runs(Search(orders=order)).runs == (kept,)
            assert store.search_runs(Search(orders=order, view=View.DELETED)).runs == (deleted,)
            assert len(store.search_runs(Search(orders=order, view=View.ALL)).runs) == 2

    def test_a_page_goes_on_where_the_one_before_ended(self, store: Store, clock: ManualClock) -> None:
        ids = []
        for _ in range(5):
            ids.append(a_run(store, started_at=clock.now).id)
            clock.advance(1)
        orders = parse_orders(["start_time DESC"], grammars.RUNS)
        first = store.search_runs(Search(orders=orders, limit=2))
        assert [run.id for run in first.runs] == ids[:2:-1]
        # What comes in front, and what goes of the page that was seen, moves nothing.
        a_run(store, started_at=clock.now)
        store.set_run(ids[3], deleted_at=clock.now)
        second = store.search_runs(Search(orders=orders, limit=2, after=first.next))
        assert [run.id for run in second.runs] == [ids[2], ids[1]]
        last = store.search_runs(Search(orders=orders, limit=2, after=second.next))
        assert [run.id for run in last.runs] == ids[:1]
        assert last.next == ""
        assert store.search_runs(Search(orders=orders, limit=0)).runs == ()

    @pytest.mark.parametrize("token", ["x", "AAAA", "gqE5", "\ud800", "ä", "k" * 5000])
    def test_a_token_that_no_page_gave_is_refused(self, store: Store, token: str) -> None:
        with pytest.raises(InvalidInput, match="page token"):
            store.search_runs(Search(after=token))
        with pytest.raises(InvalidInput, match="page token"):
            store.search_experiments(Search(after=token))

    def test_a_token_is_of_one_order(self, store: Store) -> None:
        for _ in range(2):
            a_run(store)
        page = store.search_runs(Search(limit=1))
        with pytest.raises(InvalidInput, match="page token"):
            store.search_runs(Search(orders=parse_orders(["status"], grammars.RUNS), after=page.next))

    def test_experiments_are_searched(self, store: Store, clock: ManualClock) -> None:
        project = a_project(store)
        made = {}
        for name in ("Alpha", "alpine", "beta"):
            made[name] = store.ensure_experiment(project.id, name)
            clock.advance(1)
        store.set_experiment_tags(made["beta"].id, {"team": "x"})
        store.delete_experiment(made["Alpha"].id)
        store.ensure_experiment(a_project(store, "other").id, "beta")

        def names(text: str = "", order: str = "name", view: View = View.ACTIVE, **more: object) -> list[str]:
            condition = parse_filter(text, grammars.EXPERIMENTS)
            orders = parse_orders([order], grammars.EXPERIMENTS)
            search = Search(condition=condition, orders=orders, view=view, project_id=project.id, **more)  # type: ignore[arg-type]
            return [it.name for it in store.search_experiments(search).experiments]

        assert names() == ["alpine", "beta"]
        assert names(view=View.ALL, order="creation_time DESC") == ["beta", "alpine", "Alpha"]
        assert names(view=View.DELETED) == ["Alpha"]
        assert names("name ILIKE 'al%'", view=View.ALL) == ["Alpha", "alpine"]
        assert names("name LIKE 'al%'", view=View.ALL) == ["alpine"]
        assert names("tags.team = 'x'") == names("tags.team IS NOT NULL") == ["beta"]
        assert names("tags.team IS NULL OR tags.team != 'x'") == ["alpine"]
        assert names(f"experiment_id IN ('{made['beta'].id}')") == ["beta"]
        assert names(f"creation_time >= {int(made['beta'].created_at * 1000)}") == ["beta"]
        assert names(f"last_update_time > {int(START * 1000) + 2000}", view=View.ALL) == ["Alpha"]

    def test_experiments_come_in_pages(self, store: Store, clock: ManualClock) -> None:
        project = a_project(store)
        made = []
        for n in range(5):
            made.append(store.ensure_experiment(project.id, f"e{n}").id)
            clock.advance(n % 2)  # some are of one moment: their ids part them
        by_id = parse_orders(["experiment_id"], grammars.EXPERIMENTS)
        for orders in ((), by_id):
            found, after = [], ""
            for _ in range(3):
                page = store.search_experiments(Search(limit=2, after=after, orders=orders))
                found += [it.id for it in page.experiments]
                after = page.next
            oldest_first = [*sorted(made[:2]), *sorted(made[2:4]), made[4]]
            assert (found, after) == (oldest_first if orders else oldest_first[::-1], "")
