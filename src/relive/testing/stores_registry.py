"""What every store promises of models, versions, aliases, endpoints and their revisions."""

from typing import Any

import pytest

from relive.core.endpoint import RevisionState
from relive.core.model import Signature, TensorSpec
from relive.errors import Conflict, InvalidInput, NotFound
from relive.ports.stores import Store
from relive.testing.stores_samples import START, ManualClock, a_project, a_revision, a_version, new_id


class RegistryContract:
    """Promises of `RegistryStore`."""

    def test_a_model_belongs_to_one_project(self, store: Store) -> None:
        demo, other = a_project(store), a_project(store, "other")
        model = store.ensure_model(demo.id, "digits")
        assert store.ensure_model(demo.id, "digits") == model == store.get_model("digits")
        with pytest.raises(Conflict, match="another project"):
            store.ensure_model(other.id, "digits")
        second = store.ensure_model(other.id, "cats")
        assert store.list_models() == [second, model]
        assert store.list_models(demo.id) == [model]
        with pytest.raises(NotFound, match="dogs"):
            store.get_model("dogs")

    def test_a_version_comes_back_as_it_was(self, store: Store) -> None:
        signature = Signature(
            inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, 64)),),
            outputs=(TensorSpec(name="y", datatype="INT64", shape=(-1,)),),
        )
        version = a_version(store, signature=signature, facts={"metrics": {"acc": 0.9}}, stage_id="s1")
        assert (version.version, version.created_at, version.model) == (1, START, "digits")
        assert store.get_version_by_id(version.id) == version == store.find_version_of_stage("s1")
        assert store.get_version("digits", "1") == version
        assert store.find_version_of_stage("s2") is None

    def test_versions_are_numbered_without_gaps(self, store: Store) -> None:
        first, second = a_version(store), a_version(store, version=99)
        with pytest.raises(Conflict):
            a_version(store, id=first.id)
        third = a_version(store)
        assert [it.version for it in (first, second, third)] == [1, 2, 3]
        assert store.list_versions("digits") == [third, second, first]
        assert a_version(store, "cats").version == 1

    def test_a_stage_registers_once(self, store: Store) -> None:
        first = a_version(store, stage_id="s1")
        assert a_version(store, stage_id="s1") == first
        assert a_version(store, stage_id="").version == 2
        assert a_version(store, stage_id="").version == 3

    def test_versions_of_a_run(self, store: Store) -> None:
        one, two = a_version(store, run_id="r1"), a_version(store, "cats", run_id="r1")
        a_version(store, run_id="r2")
        assert store.list_versions_of_run("r1") == [two, one]

    def test_a_version_changes_where_it_may(self, store: Store) -> None:
        version = a_version(store)
        changed = store.set_version(version.id, status="promoted", provenance="p")
        assert store.get_version("digits", "1") == changed
        assert (changed.status, changed.provenance) == ("promoted", "p")
        with pytest.raises(InvalidInput, match="manifest"):
            store.set_version(version.id, manifest="other")
        with pytest.raises(NotFound):
            store.set_version(new_id(), status="x")

    def test_a_version_needs_its_model(self, store: Store) -> None:
        version = a_version(store)
        with pytest.raises(NotFound, match="model"):
            a_version(store, model_id=new_id())
        assert store.list_versions("digits") == [version]

    def test_an_alias_moves_and_knows_where_it_was(self, store: Store, clock: ManualClock) -> None:
        one, two = a_version(store), a_version(store)
        assert store.find_alias("digits", "champion") is None
        first = store.set_alias("digits", "champion", 1, by="ann")
        assert (first.version, first.previous, first.moved_by, first.moved_at) == (1, None, "ann", START)
        clock.advance(5)
        moved = store.set_alias("digits", "champion", 2, by="bob")
        assert (moved.version, moved.previous, moved.moved_by, moved.moved_at) == (2, 1, "bob", START + 5)
        assert store.get_version("digits", "champion") == two
        again = store.set_alias("digits", "champion", 2, by="bob")
        assert again.previous == 1
        assert store.set_alias("digits", "champion", 1, by="ann").previous == 2
        assert store.get_version("digits", "champion") == one

    def test_an_alias_points_at_a_version_that_is_there(self, store: Store) -> None:
        a_version(store)
        with pytest.raises(NotFound, match="digits@2"):
            store.set_alias("digits", "champion", 2, by="ann")
        with pytest.raises(NotFound):
            store.set_alias("cats", "champion", 1, by="ann")
        assert store.list_aliases("digits") == []

    @pytest.mark.parametrize("alias", ["", "3", "0012"])
    def test_a_number_is_no_alias(self, store: Store, alias: str) -> None:
        a_version(store)
        with pytest.raises(InvalidInput, match="alias"):
            store.set_alias("digits", alias, 1, by="ann")

    def test_aliases_are_listed_and_go(self, store: Store) -> None:
        a_version(store)
        for alias in ("shadow", "champion"):
            store.set_alias("digits", alias, 1, by="ann")
        assert [it.alias for it in store.list_aliases("digits")] == ["champion", "shadow"]
        assert store.delete_alias("digits", "shadow")
        assert not store.delete_alias("digits", "shadow")
        with pytest.raises(NotFound, match="digits@shadow"):
            store.get_version("digits", "shadow")

    @pytest.mark.parametrize("ref", ["2", "0", "-1", "champion", "", "9" * 40, "1.0", "\u0663"])
    def test_what_names_no_version_is_not_found(self, store: Store, ref: str) -> None:
        a_version(store)
        with pytest.raises(NotFound):
            store.get_version("digits", ref)


class EndpointContract:
    """Promises of `EndpointStore`."""

    def test_an_endpoint_is_made_once(self, store: Store) -> None:
        demo, other = a_project(store), a_project(store, "other")
        endpoint = store.ensure_endpoint(demo.id, "digits", "model-a")
        assert store.ensure_endpoint(demo.id, "digits", "model-a") == endpoint == store.get_endpoint("digits")
        for project, model in ((other, "model-a"), (demo, "model-b")):
            with pytest.raises(Conflict):
                store.ensure_endpoint(project.id, "digits", model)
        second = store.ensure_endpoint(other.id, "cats", "model-c")
        assert store.list_endpoints() == [second, endpoint]
        assert store.list_endpoints(demo.id) == [endpoint]
        with pytest.raises(NotFound):
            store.get_endpoint("dogs")

    def test_revisions_are_numbered_and_made_once_a_stage(self, store: Store) -> None:
        endpoint = store.ensure_endpoint(a_project(store).id, "digits", "digits")
        first = a_revision(store, endpoint, stage_id="s1")
        again = a_revision(store, endpoint, stage_id="s1", version_id=first.version_id)
        second = a_revision(store, endpoint, facts={"model": "digits"})
        third = a_revision(store, endpoint)
        assert again == first
        assert [it.number for it in (first, second, third)] == [1, 2, 3]
        assert store.list_revisions(endpoint.id) == [third, second, first]
        assert store.get_revision(second.id) == second
        with pytest.raises(NotFound):
            store.get_revision(new_id())

    def test_revisions_are_listed_by_state(self, store: Store) -> None:
        one = store.ensure_endpoint(a_project(store).id, "one", "digits")
        two = store.ensure_endpoint(a_project(store).id, "two", "digits")
        ready = a_revision(store, one, state=RevisionState.READY)
        a_revision(store, one, state=RevisionState.FAILED)
        other = a_revision(store, two, state=RevisionState.STARTING)
        live = store.list_revisions(states=[RevisionState.READY, RevisionState.STARTING])
        assert {it.id for it in live} == {ready.id, other.id}
        assert store.list_revisions(one.id, states=[RevisionState.READY]) == [ready]

    def test_a_revision_changes_only_from_the_expected_state(self, store: Store) -> None:
        endpoint = store.ensure_endpoint(a_project(store).id, "digits", "digits")
        revision = a_revision(store, endpoint)
        assert store.set_revision(revision.id, expect="ready", error="no") is None
        moved = store.set_revision(revision.id, expect="pending", state=RevisionState.READY, ready_at=9.0)
        assert moved is not None
        assert store.get_revision(revision.id) == moved
        with pytest.raises(NotFound):
            store.set_revision(new_id(), error="x")
        with pytest.raises(InvalidInput, match="version_id"):
            store.set_revision(revision.id, version_id="other")

    def test_the_traffic_moves_in_one_write(self, store: Store) -> None:
        endpoint = store.ensure_endpoint(a_project(store).id, "digits", "digits")
        routed = store.route(endpoint.id, live="b", previous="a")
        assert (routed.live, routed.previous) == ("b", "a")
        assert store.get_endpoint("digits") == routed
        with pytest.raises(NotFound):
            store.route(new_id(), live="b", previous="a")

    @pytest.mark.parametrize(
        ("changes", "grows"),
        [({"state": "ready"}, True), ({"address": "unix:/x"}, True), ({"restarts": 1, "error": "x"}, False)],
    )
    def test_the_routing_version_grows_with_what_the_router_reads(
        self, store: Store, changes: dict[str, Any], grows: bool
    ) -> None:
        endpoint = store.ensure_endpoint(a_project(store).id, "digits", "digits")
        revision = a_revision(store, endpoint)
        before = store.routing_version()
        store.set_revision(revision.id, expect="failed", **changes)
        assert store.routing_version() == before
        store.set_revision(revision.id, **changes)
        assert store.routing_version() == before + grows

    def test_the_routing_version_grows_with_the_traffic(self, store: Store) -> None:
        endpoint = store.ensure_endpoint(a_project(store).id, "digits", "digits")
        versions = [store.routing_version()]
        store.route(endpoint.id, live="a", previous="")
        versions.append(store.routing_version())
        store.delete_endpoint(endpoint.id)
        versions.append(store.routing_version())
        assert versions == [0, 1, 2]

    def test_a_deleted_endpoint_takes_its_revisions_along(self, store: Store) -> None:
        endpoint = store.ensure_endpoint(a_project(store).id, "digits", "digits")
        revision = a_revision(store, endpoint)
        store.delete_endpoint(endpoint.id)
        assert store.list_endpoints() == []
        with pytest.raises(NotFound):
            store.get_revision(revision.id)
        with pytest.raises(NotFound):
            store.delete_endpoint(endpoint.id)
        assert store.get_version_by_id(revision.version_id).version == 1
