"""What every store promises of changing the registry: new names, deletion, tags, stages."""

from collections.abc import Sequence

import pytest

from relive.core.model import RegisteredModel
from relive.core.search_grammars import MODEL_VERSIONS, REGISTERED_MODELS
from relive.core.search_parser import parse_filter, parse_orders
from relive.errors import Conflict, InvalidInput, NotFound
from relive.ports.stores import Store
from relive.testing.stores_samples import START, ManualClock, a_project, a_revision, a_version, new_id


def a_model(store: Store, name: str = "digits", *, description: str = "") -> RegisteredModel:
    """Create a registered model of the project `demo`."""
    return store.create_model(
        RegisteredModel(id=new_id(), project_id=a_project(store).id, name=name, description=description)
    )


class RegistryChangeContract:
    """Promises of `RegistryStore` on what changes and goes."""

    def test_a_model_is_created_once(self, store: Store) -> None:
        made = a_model(store, description="of digits")
        assert (made.created_at, made.description) == (START, "of digits")
        assert store.get_model("digits") == made
        with pytest.raises(Conflict, match="taken"):
            a_model(store)
        assert a_version(store).version == 1

    def test_a_model_changes_where_it_may(self, store: Store) -> None:
        made = a_model(store)
        changed = store.set_model(made.id, description="new", updated_at=START + 1)
        assert store.get_model("digits") == changed
        assert (changed.description, changed.updated_at) == ("new", START + 1)
        with pytest.raises(InvalidInput, match="name"):
            store.set_model(made.id, name="other")

    def test_a_new_name_goes_to_versions_aliases_and_endpoints(self, store: Store) -> None:
        version = a_version(store)
        store.set_alias("digits", "champion", 1, by="ann")
        endpoint = store.ensure_endpoint(a_project(store).id, "digits", "digits")
        a_model(store, "cats")
        with pytest.raises(Conflict, match="taken"):
            store.rename_model(version.model_id, "cats")
        renamed = store.rename_model(version.model_id, "numbers")
        assert (renamed.id, renamed.name) == (version.model_id, "numbers")
        assert store.get_version("numbers", "champion").id == version.id
        assert store.get_version_by_id(version.id).model == "numbers"
        assert [alias.alias for alias in store.list_aliases("numbers")] == ["champion"]
        assert store.get_endpoint(endpoint.name).model == "numbers"
        assert store.rename_model(version.model_id, "numbers") == renamed
        with pytest.raises(NotFound):
            store.get_model("digits")

    def test_a_model_goes_with_all_that_is_its_own(self, store: Store) -> None:
        version, other = a_version(store), a_version(store, "cats")
        store.set_alias("digits", "champion", 1, by="ann")
        store.set_model_tags(version.model_id, {"a": "1"})
        store.set_version_tags(version.id, {"a": "1"})
        store.delete_model(version.model_id)
        assert [model.name for model in store.list_models()] == ["cats"]
        assert store.list_aliases("digits") == []
        assert store.list_model_tags([version.model_id]) == store.list_version_tags([version.id]) == {}
        assert store.get_version("cats", "1") == other
        with pytest.raises(NotFound):
            store.get_version_by_id(version.id)
        with pytest.raises(NotFound):
            store.delete_model(version.model_id)
        assert a_version(store).version == 1

    def test_a_deleted_version_leaves_its_number(self, store: Store) -> None:
        a_version(store)
        second = a_version(store)
        store.set_alias("digits", "champion", 2, by="ann")
        store.set_alias("digits", "shadow", 1, by="ann")
        store.delete_version(second.id)
        assert [alias.alias for alias in store.list_aliases("digits")] == ["shadow"]
        assert a_version(store).version == 3
        with pytest.raises(NotFound):
            store.delete_version(second.id)

    def test_what_an_endpoint_serves_is_not_deleted(self, store: Store) -> None:
        version = a_version(store)
        a_revision(
            store, store.ensure_endpoint(a_project(store).id, "front", "digits"), version_id=version.id
        )
        with pytest.raises(Conflict, match="front"):
            store.delete_version(version.id)
        with pytest.raises(Conflict, match="front"):
            store.delete_model(version.model_id)
        assert store.get_version("digits", "1") == version

    def test_tags_of_models_and_versions_change_and_go(self, store: Store) -> None:
        version, other = a_version(store), a_version(store, "cats")
        store.set_model_tags(version.model_id, {"b": "2", "a": "1"})
        store.set_model_tags(version.model_id, {"a": "3"})
        store.set_model_tags(other.model_id, {})
        assert store.list_model_tags([version.model_id, other.model_id]) == {
            version.model_id: {"a": "3", "b": "2"}
        }
        assert store.delete_model_tag(version.model_id, "a")
        assert not store.delete_model_tag(version.model_id, "a")
        store.set_version_tags(version.id, {"k": "v"})
        assert store.list_version_tags([version.id]) == {version.id: {"k": "v"}}
        assert store.delete_version_tag(version.id, "k")
        assert not store.delete_version_tag(version.id, "k")
        with pytest.raises(Conflict):
            store.set_model_tags(new_id(), {"a": "1"})

    def test_the_newest_version_of_each_stage(self, store: Store, clock: ManualClock) -> None:
        a_version(store)
        plain = a_version(store)
        a_version(store, stage="Production")
        live = a_version(store, stage="Production")
        cats = a_version(store, "cats")
        assert store.list_latest_versions(["digits", "cats", "dogs"]) == [cats, plain, live]

    def test_aliases_of_many_models(self, store: Store) -> None:
        a_version(store), a_version(store, "cats")
        for model in ("digits", "cats"):
            store.set_alias(model, "champion", 1, by="ann")
        found = store.list_aliases_of(["digits", "cats", "dogs"])
        assert [(alias.model, alias.alias) for alias in found] == [
            ("cats", "champion"),
            ("digits", "champion"),
        ]


def names(found: Sequence[RegisteredModel]) -> list[str]:
    """Give the names of models."""
    return [model.name for model in found]


class RegistrySearchContract:
    """Promises of `RegistryStore` on searching."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", ["Cats", "cats", "dogs", "mice_1"]),
            ("name = 'cats'", ["cats"]),
            ("name != 'cats'", ["Cats", "dogs", "mice_1"]),
            ("name LIKE 'c%'", ["cats"]),
            ("name LIKE '_ats'", ["Cats", "cats"]),
            ("name LIKE '%*%'", []),
            ("name ILIKE 'c%'", ["Cats", "cats"]),
            ("name IN ('dogs', 'cats')", ["cats", "dogs"]),
            ("tags.team = 'blue'", ["cats"]),
            ("tags.team != 'blue'", ["dogs"]),
            ("tags.team LIKE '%e%' AND name = 'dogs'", ["dogs"]),
            ("NOT tags.team = 'blue'", ["Cats", "dogs", "mice_1"]),
            ("tags.team = 'blue' OR name = 'mice_1'", ["cats", "mice_1"]),
        ],
    )
    def test_models_are_found_by_name_and_tags(self, store: Store, text: str, expected: list[str]) -> None:
        for name in ("dogs", "cats", "mice_1", "Cats"):
            a_model(store, name)
        store.set_model_tags(store.get_model("cats").id, {"team": "blue"})
        store.set_model_tags(store.get_model("dogs").id, {"team": "red", "other": "blue"})
        assert names(store.search_models(parse_filter(text, REGISTERED_MODELS))) == expected

    def test_models_are_sorted_and_paged(self, store: Store, clock: ManualClock) -> None:
        for name in ("a", "b", "c"):
            clock.advance(1)
            a_model(store, name)
        store.set_model(store.get_model("a").id, updated_at=START + 10)
        newest = parse_orders(["last_updated_timestamp DESC"], REGISTERED_MODELS)
        assert names(store.search_models(orders=newest)) == ["a", "c", "b"]
        assert names(store.search_models(orders=newest, limit=1, offset=1)) == ["c"]
        assert names(store.search_models(orders=parse_orders(["name DESC"], REGISTERED_MODELS))) == list(
            "cba"
        )

    def test_models_of_a_project_and_without_a_tag(self, store: Store) -> None:
        made = a_model(store)
        other = store.ensure_model(a_project(store, "other").id, "cats")
        store.set_model_tags(other.id, {"kind": "prompt"})
        assert store.search_models(project_id=made.project_id) == [made]
        assert store.search_models(without_tag=("kind", "prompt")) == [made]
        assert len(store.search_models(without_tag=("kind", "other"))) == 2

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", ["cats 1", "digits 2", "digits 1"]),
            ("name = 'digits'", ["digits 2", "digits 1"]),
            ("version_number > 1", ["digits 2"]),
            ("run_id = 'r1'", ["digits 1"]),
            ("run_id IN ('r1', 'r3')", ["cats 1", "digits 1"]),
            ("source_path LIKE 's3://%'", ["digits 2"]),
            ("tags.a = '1'", ["digits 1"]),
        ],
    )
    def test_versions_are_found(self, store: Store, text: str, expected: list[str]) -> None:
        first = a_version(store, run_id="r1")
        a_version(store, run_id="r2", source="s3://bucket/m")
        a_version(store, "cats", run_id="r3")
        store.set_version_tags(first.id, {"a": "1"})
        found = store.search_versions(parse_filter(text, MODEL_VERSIONS))
        assert [f"{it.model} {it.version}" for it in found] == expected

    def test_versions_are_sorted_and_narrowed(self, store: Store, clock: ManualClock) -> None:
        first = a_version(store)
        clock.advance(1)
        second, cats = a_version(store), a_version(store, "cats")
        by = parse_orders(["creation_timestamp DESC", "version_number ASC"], MODEL_VERSIONS)
        assert store.search_versions(orders=by) == [cats, second, first]
        assert store.search_versions(orders=by, limit=1, offset=2) == [first]
        store.set_version_tags(second.id, {"kind": "prompt"})
        assert store.search_versions(without_tag=("kind", "prompt")) == [cats]
        assert store.search_versions(project_id=a_project(store, "other").id) == []
