"""Rules of names in queues, against the plainest reading of what MLflow says of them."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relive.core.review import QueueKind, ReviewStatus
from relive.services.mlflow import review_rules as rules
from relive.services.mlflow.faults import MlflowFault

# Few letters, so that names meet: spaces, both cases, one whose small letter is longer.
NAMES = st.text("aAbB İ", max_size=6)
WORDS = st.one_of(
    st.integers(-2, 9),
    st.sampled_from(
        ["", "USER", "custom", "PENDING", "DECLINED", "2", "02", "٢", "²", "-1", "9" * 6000, "x"]
    ),
)


def given_or_refused(read: Callable[..., Any], *said: Any) -> Any:
    """Give what is read; None if it is refused."""
    try:
        return read(*said)
    except MlflowFault as fault:
        return None if fault.error_code == "INVALID_PARAMETER_VALUE" else fault


@given(st.lists(NAMES, max_size=14))
def test_users_are_compared_in_small_letters_and_counted_once(said: Sequence[str]) -> None:
    plain = list(dict.fromkeys(name.strip().lower() for name in said))
    wanted = None if "" in plain or len(plain) > 10 else tuple(plain)
    assert given_or_refused(rules.user_names, said) == wanted


@given(NAMES, st.lists(NAMES, max_size=3), st.lists(st.just("ls-1"), max_size=1))
def test_a_users_own_queue_is_of_that_user_alone(
    said: str, users: Sequence[str], schema_ids: Sequence[str]
) -> None:
    name = given_or_refused(rules.user_name, said, "name")
    if name is None:
        assert not said.strip()
        return
    others = {user.strip().lower() for user in users} - {name}
    wanted = None if others or schema_ids else (name,)
    assert given_or_refused(rules.users_of_user_queue, name, users, schema_ids) == wanted


@given(NAMES)
def test_a_name_keeps_its_letters_and_loses_its_spaces(said: str) -> None:
    wanted = said.strip() or None
    assert given_or_refused(rules.custom_name, said) == wanted
    assert given_or_refused(rules.owner_name, said) == wanted


@given(st.lists(st.sampled_from(["tr-1", " tr-1", "TR-1", "", "x" * 51, "x" * 50]), max_size=5))
def test_ids_keep_their_letters_and_their_order(said: Sequence[str]) -> None:
    plain = list(dict.fromkeys(text.strip() for text in said))
    wanted = None if not plain or "" in plain or "x" * 51 in plain else tuple(plain)
    assert given_or_refused(rules.item_ids_of, said) == wanted


@given(WORDS)
def test_words_and_their_numbers_mean_the_same(said: str | int) -> None:
    text = str(int(said)) if str(said).isdecimal() and len(str(said)) < 9 else str(said)
    kinds = {"1": QueueKind.USER, "USER": QueueKind.USER, "2": QueueKind.CUSTOM, "CUSTOM": QueueKind.CUSTOM}
    assert given_or_refused(rules.kind_of, said) == kinds.get(text)
    statuses = {"1": ReviewStatus.PENDING, "2": ReviewStatus.COMPLETE, "3": ReviewStatus.DECLINED}
    statuses |= {"PENDING": ReviewStatus.PENDING, "DECLINED": ReviewStatus.DECLINED}
    assert given_or_refused(rules.status_of, said) == statuses.get(text)


@given(st.none() | NAMES, st.sampled_from(ReviewStatus))
def test_someone_looked_or_nobody_did(said: str | None, status: ReviewStatus) -> None:
    if status is ReviewStatus.PENDING:
        wanted = "" if said is None else None
    else:
        wanted = (said or "").strip().lower() or None
    assert given_or_refused(rules.completed_by_of, said, status) == wanted


@pytest.mark.parametrize("said", ["", "TRACE", 1, 0, "1", "REVIEW_ITEM_TYPE_UNSPECIFIED"])
def test_items_are_traces(said: str | int) -> None:
    rules.check_item_type(said)


@pytest.mark.parametrize("said", ["SPAN", 2, "trace"])
def test_nothing_else_is_an_item(said: str | int) -> None:
    with pytest.raises(MlflowFault, match="must be TRACE"):
        rules.check_item_type(said)
