"""What every store promises of users, tokens, projects and what belongs to them."""

import pytest

from relive.core.access import Scope, Token, User
from relive.errors import Conflict, InvalidInput, NotFound
from relive.ports.stores import Store
from relive.testing.stores_samples import START, ManualClock, a_project, new_id


class AccountContract:
    """Promises of `AccountStore`."""

    def test_a_user_is_found_by_name(self, store: Store) -> None:
        user = store.create_user(User(id=new_id(), name="ann", role=Scope.ADMIN))
        assert user.created_at == START
        assert store.find_user("ann") == user
        assert store.find_user("Ann") is None

    def test_a_taken_user_name_is_refused(self, store: Store) -> None:
        first = store.create_user(User(id=new_id(), name="ann"))
        with pytest.raises(Conflict, match="ann"):
            store.create_user(User(id=new_id(), name="ann"))
        assert store.list_users() == [first]

    def test_users_are_listed_by_name(self, store: Store) -> None:
        for name in ("Zoe", "bob", "ann"):
            store.create_user(User(id=new_id(), name=name))
        assert [user.name for user in store.list_users()] == ["Zoe", "ann", "bob"]

    def test_a_token_is_kept_beside_its_digest(self, store: Store) -> None:
        token = Token(id="t1", scope=Scope.RUNNER, subject="job:1", fence=3, run_id="r", expires_at=START + 5)
        kept = store.create_token(token, "digest")
        assert store.find_token("t1") == (kept, "digest")
        assert (kept.fence, kept.expires_at, kept.created_at) == (3, START + 5, START)

    def test_a_revoked_token_is_unknown(self, store: Store) -> None:
        store.create_token(Token(id="t1", scope=Scope.MEMBER, subject="user:ann"), "digest")
        assert store.revoke_token("t1")
        assert store.find_token("t1") is None
        assert not store.revoke_token("t1")

    def test_tokens_are_listed_by_subject_in_the_order_of_their_making(
        self, store: Store, clock: ManualClock
    ) -> None:
        for token_id, subject in (("b", "user:ann"), ("a", "user:ann"), ("c", "user:bob")):
            store.create_token(Token(id=token_id, scope=Scope.MEMBER, subject=subject), "digest")
            clock.advance(1)
        assert [token.id for token in store.list_tokens("user:ann")] == ["b", "a"]
        assert [token.id for token in store.list_tokens()] == ["b", "a", "c"]

    def test_the_last_use_of_a_token_is_known_to_the_minute(self, store: Store, clock: ManualClock) -> None:
        store.create_token(Token(id="t1", scope=Scope.MEMBER, subject="user:ann"), "digest")
        store.touch_token("t1")
        clock.advance(30)
        store.touch_token("t1")
        assert [token.last_used_at for token in store.list_tokens()] == [START]
        clock.advance(31)
        store.touch_token("t1")
        assert [token.last_used_at for token in store.list_tokens()] == [START + 61]
        store.touch_token("unknown")


class ProjectContract:
    """Promises of `ProjectStore`."""

    def test_a_project_is_found_by_name_and_by_id(self, store: Store) -> None:
        project = store.create_project("demo", default_branch="trunk")
        assert (project.default_branch, project.mirror, project.created_at) == ("trunk", "", START)
        assert store.get_project("demo") == store.get_project(project.id) == project
        assert store.find_project("other") is None
        with pytest.raises(NotFound, match="other"):
            store.get_project("other")

    def test_a_name_that_is_another_projects_id_still_names_its_own(self, store: Store) -> None:
        first = store.create_project("first")
        second = store.create_project(first.id)
        assert store.get_project(first.id) == second

    def test_a_taken_project_name_is_refused(self, store: Store) -> None:
        project = store.create_project("demo")
        with pytest.raises(Conflict, match="demo"):
            store.create_project("demo")
        assert store.list_projects() == [project]

    def test_an_empty_project_is_deleted_and_its_name_free(self, store: Store) -> None:
        project, other = store.create_project("demo"), store.create_project("other")
        store.delete_project(project.id)
        assert store.list_projects() == [other]
        with pytest.raises(NotFound):
            store.delete_project(project.id)
        assert store.create_project("demo").id != project.id

    def test_a_project_that_holds_anything_is_kept(self, store: Store) -> None:
        project = store.create_project("demo")
        store.ensure_model(project.id, "digits")
        with pytest.raises(Conflict, match="it holds models"):
            store.delete_project(project.id)
        store.set_ref(project.id, "refs/heads/main", old="", new="1")
        with pytest.raises(Conflict, match="it holds branches"):
            store.delete_project(project.id)
        assert store.get_project("demo") == project

    def test_a_project_changes_where_it_may(self, store: Store) -> None:
        project = store.create_project("demo")
        changed = store.set_project(project.id, mirror="https://example.org/x.git")
        assert changed.mirror == "https://example.org/x.git"
        assert store.get_project("demo") == changed
        with pytest.raises(InvalidInput, match="name"):
            store.set_project(project.id, name="other")
        with pytest.raises(NotFound):
            store.set_project(new_id(), mirror="")

    @pytest.mark.parametrize(
        ("old", "new", "moved"),
        [
            ("a", "b", True),
            ("", "b", False),
            ("x", "b", False),
            ("a", "", True),
            ("x", "", False),
            ("", "", False),
        ],
    )
    def test_a_ref_moves_only_from_where_it_is(self, store: Store, old: str, new: str, moved: bool) -> None:
        project = a_project(store)
        assert store.set_ref(project.id, "refs/heads/main", old="", new="a")
        assert store.set_ref(project.id, "refs/heads/main", old=old, new=new) is moved
        expected = {"refs/heads/main": new if moved else "a"} if new or not moved else {}
        assert store.list_refs(project.id) == expected

    def test_an_absent_ref_can_only_appear(self, store: Store) -> None:
        project = a_project(store)
        assert not store.set_ref(project.id, "refs/heads/x", old="a", new="b")
        assert not store.set_ref(project.id, "refs/heads/x", old="a", new="")
        assert store.set_ref(project.id, "refs/heads/x", old="", new="")
        assert store.list_refs(project.id) == {}

    def test_a_delivery_is_new_once(self, store: Store) -> None:
        assert store.record_delivery("github", "1")
        assert not store.record_delivery("github", "1")
        assert store.record_delivery("gitlab", "1")

    def test_meta_is_set_and_set_again(self, store: Store) -> None:
        assert store.get_meta("key") is None
        store.set_meta("key", "one")
        store.set_meta("key", "two")
        assert store.get_meta("key") == "two"
