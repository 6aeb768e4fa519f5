"""What every store promises of data sets for evaluation and of scorers."""

import hashlib
from typing import Any

import msgspec
import pytest

from relive.core.evaluation import EvaluationDataset, EvaluationRecord
from relive.core.search import Field, Order, Side
from relive.core.search_grammars import EVALUATION_DATASETS
from relive.core.search_parser import parse_filter
from relive.errors import Conflict, InvalidInput, NotFound
from relive.ports.search import Search
from relive.ports.stores import Store
from relive.testing.stores_samples import START, ManualClock, a_project, new_id

NEWEST = (Order(Field(Side.ATTRIBUTE, "created_time"), ascending=False),)


def a_dataset(
    store: Store,
    *,
    tags: dict[str, str] | None = None,
    experiment_ids: tuple[str, ...] = (),
    **changes: Any,
) -> EvaluationDataset:
    """Create a data set in the project `demo` with these attributes."""
    attributes: dict[str, Any] = {"id": f"d-{new_id()}", "name": "questions", "digest": "0"}
    attributes["project_id"] = a_project(store).id
    dataset = EvaluationDataset(**(attributes | changes))
    return store.create_evaluation_dataset(dataset, tags=tags or {}, experiment_ids=experiment_ids)


def a_record(dataset: EvaluationDataset, inputs: str, **changes: Any) -> EvaluationRecord:
    """Make a record that is not kept yet."""
    digest = hashlib.sha256(inputs.encode()).hexdigest()
    attributes: dict[str, Any] = {"id": f"dr-{new_id()}", "created_at": START, "updated_at": START}
    record = {"dataset_id": dataset.id, "input_digest": digest, "inputs": inputs}
    return EvaluationRecord(**(attributes | record | changes))


def an_experiment(store: Store, name: str) -> str:
    """Give the id of an experiment of the project `demo`, new or not."""
    return store.ensure_experiment(a_project(store).id, name).id


class EvaluationContract:
    """Promises of `EvaluationStore`."""

    def test_a_data_set_comes_back_as_it_was(self, store: Store) -> None:
        one, two = an_experiment(store, "one"), an_experiment(store, "two")
        made = a_dataset(store, tags={"team": "blue"}, experiment_ids=(two, one, two), author="ann")
        assert (made.created_at, made.updated_at, made.author) == (START, START, "ann")
        assert store.get_evaluation_dataset(made.id) == made
        assert store.list_evaluation_tags([made.id]) == {made.id: {"team": "blue"}}
        assert store.list_evaluation_experiments([made.id, "none"]) == {made.id: [two, one]}
        with pytest.raises(NotFound, match="d-none"):
            store.get_evaluation_dataset("d-none")

    def test_nothing_is_kept_of_a_data_set_with_an_unknown_experiment(self, store: Store) -> None:
        with pytest.raises(Conflict):
            a_dataset(store, id="d-1", tags={"a": "1"}, experiment_ids=("none",))
        assert store.search_evaluation_datasets(Search(orders=NEWEST)).datasets == ()

    def test_a_data_set_changes_where_it_may(self, store: Store) -> None:
        made = a_dataset(store)
        changed = store.set_evaluation_dataset(made.id, records=3, schema="{}", digest="1")
        assert store.get_evaluation_dataset(made.id) == changed
        assert (changed.records, changed.schema, changed.digest) == (3, "{}", "1")
        with pytest.raises(InvalidInput, match="name"):
            store.set_evaluation_dataset(made.id, name="other")
        with pytest.raises(NotFound):
            store.set_evaluation_dataset("none", records=1)

    def test_tags_and_experiments_come_and_go(self, store: Store, clock: ManualClock) -> None:
        one, two = an_experiment(store, "one"), an_experiment(store, "two")
        made = a_dataset(store, tags={"a": "1", "b": "2"}, experiment_ids=(one,))
        store.set_evaluation_tags(made.id, {"a": "3", "c": ""})
        assert store.delete_evaluation_tag(made.id, "b")
        assert not store.delete_evaluation_tag(made.id, "b")
        assert store.list_evaluation_tags([made.id]) == {made.id: {"a": "3", "c": ""}}
        clock.advance(1)
        store.link_evaluation_dataset(made.id, [two, one])
        store.link_evaluation_dataset(made.id, [])
        assert store.list_evaluation_experiments([made.id]) == {made.id: [one, two]}
        assert store.unlink_evaluation_dataset(made.id, [one, "none"]) == 1
        assert store.list_evaluation_experiments([made.id]) == {made.id: [two]}
        with pytest.raises(Conflict):
            store.set_evaluation_tags("none", {"a": "1"})
        with pytest.raises(Conflict):
            store.link_evaluation_dataset(made.id, ["none"])

    def test_records_are_listed_in_the_order_they_came(self, store: Store) -> None:
        made, other = a_dataset(store), a_dataset(store)
        first = [a_record(made, f'{{"n": {n}}}') for n in range(3)]
        store.keep_evaluation_records(first)
        store.keep_evaluation_records([a_record(other, "{}")])
        store.keep_evaluation_records([])
        store.keep_evaluation_records([a_record(made, "{}", tags='{"a": "\\u0000"}', author="ann")])
        kept = store.list_evaluation_records(made.id)
        assert [record.number for record in kept] == [1, 2, 3, 4]
        assert [record.inputs for record in kept[:3]] == [record.inputs for record in first]
        assert (kept[3].tags, kept[3].author) == ('{"a": "\\u0000"}', "ann")
        assert store.list_evaluation_records(made.id, limit=2) == kept[:2]
        assert store.list_evaluation_records(made.id, after=2) == kept[2:]
        assert store.list_evaluation_records("none") == []

    def test_a_record_changes_in_its_place(self, store: Store) -> None:
        made = a_dataset(store)
        store.keep_evaluation_records([a_record(made, "1"), a_record(made, "2")])
        first, second = store.list_evaluation_records(made.id)
        changed = msgspec.structs.replace(first, expectations='{"a": 1}', updated_at=START + 1)
        store.keep_evaluation_records([changed, a_record(made, "3")])
        kept = store.list_evaluation_records(made.id)
        assert kept[:2] == [changed, second]
        assert (kept[2].inputs, kept[2].number) == ("3", 3)

    def test_a_data_set_asks_nothing_twice(self, store: Store) -> None:
        made = a_dataset(store)
        store.keep_evaluation_records([a_record(made, "1")])
        with pytest.raises(Conflict):
            store.keep_evaluation_records([a_record(made, "2"), a_record(made, "1")])
        (kept,) = store.list_evaluation_records(made.id)
        digests = [kept.input_digest, a_record(made, "2").input_digest]
        assert store.find_evaluation_records(made.id, digests) == {kept.input_digest: kept}
        assert store.find_evaluation_records("none", digests) == {}

    def test_records_go_by_their_ids(self, store: Store) -> None:
        made, other = a_dataset(store), a_dataset(store)
        store.keep_evaluation_records([a_record(made, str(n)) for n in range(3)])
        ids = [record.id for record in store.list_evaluation_records(made.id)]
        assert store.name_evaluation_records([ids[0], "none", ids[2]]) == {ids[0], ids[2]}
        assert store.name_evaluation_records([]) == set()
        assert store.delete_evaluation_records(other.id, ids) == 0
        assert store.delete_evaluation_records(made.id, [ids[1], "none"]) == 1
        assert [record.number for record in store.list_evaluation_records(made.id)] == [1, 3]
        assert store.name_evaluation_records(ids) == {ids[0], ids[2]}

    def test_a_deleted_data_set_leaves_nothing(self, store: Store) -> None:
        one = an_experiment(store, "one")
        made, other = a_dataset(store, tags={"a": "1"}, experiment_ids=(one,)), a_dataset(store)
        store.keep_evaluation_records([a_record(made, "1")])
        assert store.delete_evaluation_dataset(made.id)
        assert not store.delete_evaluation_dataset(made.id)
        assert store.search_evaluation_datasets(Search(orders=NEWEST)).datasets == (other,)
        assert store.list_evaluation_records(made.id) == []
        assert store.list_evaluation_experiments([made.id]) == {}
        assert store.list_evaluation_tags([made.id]) == {}

    def test_a_purged_experiment_takes_its_links_along(self, store: Store) -> None:
        one, two = an_experiment(store, "one"), an_experiment(store, "two")
        made = a_dataset(store, experiment_ids=(one, two))
        store.create_scorer_version(one, "exact", "{}", created_by="ann")
        store.delete_experiment(one)
        assert store.purge_experiment(one)
        assert store.list_evaluation_experiments([made.id]) == {made.id: [two]}
        assert store.list_scorer_versions(one, "exact") == []

    def test_a_project_with_a_data_set_stays(self, store: Store) -> None:
        made = a_dataset(store)
        with pytest.raises(Conflict, match="evaluation datasets"):
            store.delete_project(made.project_id)
        store.delete_evaluation_dataset(made.id)
        store.delete_project(made.project_id)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", "cba"),
            ("name = 'a'", "a"),
            ("name IN ('a', 'c')", "ca"),
            ("name LIKE '%' AND tags.team = 'blue'", "b"),
            ("tags.team != 'blue'", "c"),
            ("created_time > 1800000001000", "cb"),
            ("last_update_time >= 1800000003000", "c"),
            ("created_by = 'ann'", "a"),
            ("last_updated_by ILIKE 'B%'", "b"),
        ],
    )
    def test_data_sets_are_found(self, store: Store, clock: ManualClock, text: str, expected: str) -> None:
        three_datasets(store, clock)
        search = Search(condition=parse_filter(text, EVALUATION_DATASETS), orders=NEWEST)
        page = store.search_evaluation_datasets(search)
        assert "".join(dataset.name for dataset in page.datasets) == expected

    def test_data_sets_are_found_by_project_and_experiment(self, store: Store, clock: ManualClock) -> None:
        one, two = three_datasets(store, clock)

        def names(**narrow: Any) -> str:
            page = store.search_evaluation_datasets(Search(orders=NEWEST, **narrow))
            return "".join(dataset.name for dataset in page.datasets)

        assert names(experiment_ids=(one,)) == "ba"
        assert names(experiment_ids=(one, two)) == "ba"
        assert names(experiment_ids=()) == ""
        assert names(project_id=a_project(store).id) == "cba"
        assert names(project_id="none") == ""

    def test_data_sets_are_paged_in_any_order(self, store: Store, clock: ManualClock) -> None:
        three_datasets(store, clock)
        for orders, expected in (
            (NEWEST, "cba"),
            ((Order(Field(Side.ATTRIBUTE, "name"), ascending=True),), "abc"),
        ):
            found, after = "", ""
            for _ in range(3):
                page = store.search_evaluation_datasets(Search(orders=orders, limit=1, after=after))
                found, after = found + page.datasets[0].name, page.next
            assert (found, after) == (expected, "")
        with pytest.raises(InvalidInput, match="page token"):
            store.search_evaluation_datasets(Search(orders=NEWEST, after="x"))


class ScorerContract:
    """Promises of `ScorerStore`."""

    def test_versions_of_a_scorer_count_from_one(self, store: Store, clock: ManualClock) -> None:
        one, two = an_experiment(store, "one"), an_experiment(store, "two")
        first = store.create_scorer_version(one, "exact", '{"n": 1}', created_by="ann")
        clock.advance(1)
        second = store.create_scorer_version(one, "exact", '{"n": 2}', created_by="bob")
        assert (first.version, first.created_at, first.created_by) == (1, START, "ann")
        assert (second.version, second.created_at, second.created_by) == (2, START + 1, "ann")
        assert second.id == first.id
        assert store.list_scorer_versions(one, "exact") == [first, second]
        assert store.list_scorer_versions(two, "exact") == []
        other = store.create_scorer_version(one, "close", "{}", created_by="ann")
        elsewhere = store.create_scorer_version(two, "exact", "{}", created_by="ann")
        assert store.list_scorers([one]) == [other, second]
        assert {it.id for it in store.list_scorers([one, two])} == {other.id, second.id, elsewhere.id}
        assert store.list_scorers([]) == []
        with pytest.raises(Conflict):
            store.create_scorer_version("none", "exact", "{}", created_by="ann")

    def test_a_scorer_goes_a_version_at_a_time_or_whole(self, store: Store) -> None:
        one = an_experiment(store, "one")
        made = [store.create_scorer_version(one, "exact", "{}", created_by="ann") for _ in range(3)]
        store.create_scorer_version(one, "close", "{}", created_by="ann")
        assert store.delete_scorer(one, "exact", 2) == 1
        assert store.delete_scorer(one, "exact", 2) == 0
        assert store.list_scorer_versions(one, "exact") == [made[0], made[2]]
        assert store.create_scorer_version(one, "exact", "{}", created_by="ann").version == 4
        assert store.delete_scorer(one, "exact") == 3
        assert store.delete_scorer(one, "exact") == 0
        again = store.create_scorer_version(one, "exact", "{}", created_by="bob")
        assert (again.version, again.created_by, again.id != made[0].id) == (1, "bob", True)
        assert [it.name for it in store.list_scorers([one])] == ["close", "exact"]


def three_datasets(store: Store, clock: ManualClock) -> tuple[str, str]:
    """Keep data sets a, b and c, a second apart; gives the experiments of a and b."""
    one, two = an_experiment(store, "one"), an_experiment(store, "two")
    clock.advance(1)
    a_dataset(store, name="a", experiment_ids=(one,), author="ann")
    clock.advance(1)
    a_dataset(store, name="b", experiment_ids=(one, two), tags={"team": "blue"}, last_author="Bob")
    clock.advance(1)
    a_dataset(store, name="c", tags={"team": "red"})
    return one, two
