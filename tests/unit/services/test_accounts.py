"""Tokens: what each may be used for, and when it ends."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from relive.core.access import LAST_USE_S, Caller, Scope, Token
from relive.core.job import Job, JobKind, JobState
from relive.core.run import RunStatus
from relive.errors import AccessDenied, InvalidInput, NotLoggedIn, StoreFull, Superseded
from relive.services import accounts, runs
from relive.services.accounts import authenticate, create_user_token, ensure_user, require
from relive.services.ids import new_id, secret_digest
from relive.wire.jobs import StageReport
from tests.support.bench import ADA, Bench

SECRET = "s" * 43


def user_token(bench: Bench, name: str = "ada", role: Scope = Scope.ADMIN, **options: float) -> str:
    """Make a token of a user."""
    return create_user_token(
        bench.services, ensure_user(bench.services, name, role), label="test", life_s=options.get("life_s")
    )


def claimed(bench: Bench) -> Job:
    """Put a job and claim it."""
    job = Job(
        id=new_id(), kind=JobKind.STAGE, state=JobState.QUEUED, pool="local", project_id=bench.project.id
    )
    bench.services.store.put(job)
    held = bench.services.store.claim("here", pools=("local",), kinds=(JobKind.STAGE,), lease_s=60)
    assert held is not None
    return held


def end(bench: Bench, job: Job) -> None:
    """Finish a job."""
    bench.services.store.finish(job.id, job.fence, JobState.DONE, result={})


def test_a_token_says_who_holds_it(bench: Bench) -> None:
    caller = authenticate(bench.services, user_token(bench, "mia", Scope.MEMBER))
    assert (caller.name, caller.scope, caller.is_admin) == ("mia", Scope.MEMBER, False)


def test_the_database_keeps_no_secret(bench: Bench) -> None:
    text = user_token(bench)
    secret = text.split("_", 2)[2]
    path = bench.services.place.data_dir / "relive.db"
    with sqlite3.connect(path) as connection:
        dump = "\n".join(connection.iterdump())
    assert secret_digest(secret) in dump
    assert secret not in dump


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rlv",
        "rlv_",
        "rlv__",
        "rlv_0123456789abcdef_",
        "rlv_0123456789abcdef_" + SECRET,
        "rlv_a\0b_" + SECRET,
        "rlv_" + "a" * 100_000 + "_" + SECRET,
        "xyz_0123456789abcdef_" + SECRET,
        "rlt_0123456789abcdef_" + SECRET,
        "\udcff",
        "Ü" * 10,
    ],
    ids=repr,
)
def test_what_is_no_token_lets_nobody_in(bench: Bench, text: str) -> None:
    with pytest.raises(NotLoggedIn):
        authenticate(bench.services, text)


def test_another_secret_with_a_known_id_lets_nobody_in(bench: Bench) -> None:
    prefix, token_id, secret = user_token(bench).split("_", 2)
    for wrong in (secret[:-1], secret + "x", secret.swapcase(), ""):
        with pytest.raises(NotLoggedIn):
            authenticate(bench.services, f"{prefix}_{token_id}_{wrong}")


@pytest.mark.parametrize("text", ["wrong", "", "rlv_x", f"rlv_{'0' * 16}_{'a' * 40}"])
def test_a_token_that_nobody_made_is_called_unknown(bench: Bench, text: str) -> None:
    with pytest.raises(NotLoggedIn, match="an unknown token may not") as caught:
        authenticate(bench.services, text)
    assert caught.value.expected() == "a token that this hub knows"


def test_a_revoked_token_is_none(bench: Bench) -> None:
    text = user_token(bench)
    bench.services.store.revoke_token(authenticate(bench.services, text).token_id)
    with pytest.raises(NotLoggedIn):
        authenticate(bench.services, text)


def test_a_token_ends_when_it_was_said_to(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    text = user_token(bench, life_s=60.0)
    assert authenticate(bench.services, text).name == "ada"
    later = bench.services.store.now() + 61
    monkeypatch.setattr(type(bench.services.store), "now", lambda _: later)
    with pytest.raises(NotLoggedIn, match="this token") as caught:
        authenticate(bench.services, text)
    assert "has not expired" in (caught.value.expected() or "")


@pytest.mark.parametrize("life_s", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_a_life_that_is_none_is_refused(bench: Bench, life_s: float) -> None:
    with pytest.raises(InvalidInput, match="life_s"):
        user_token(bench, life_s=life_s)


@pytest.mark.parametrize("words", ["", " ", "a\nb", "a\0b", "\x1b[31mred", "x" * 201])
def test_labels_and_names_that_no_list_could_show_are_refused(bench: Bench, words: str) -> None:
    with pytest.raises(InvalidInput, match="user"):
        ensure_user(bench.services, words, Scope.MEMBER)
    with pytest.raises(InvalidInput, match="label"):
        create_user_token(bench.services, ensure_user(bench.services, "ada", Scope.ADMIN), label=words)


def test_users_that_two_make_at_once_are_one(bench: Bench) -> None:
    barrier = threading.Barrier(4)

    def make(_: int) -> str:
        barrier.wait(30)
        return ensure_user(bench.services, "new", Scope.MEMBER).id

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(make, range(4)))) == 1


def test_the_last_use_is_known_to_the_minute(bench: Bench) -> None:
    text = user_token(bench)
    caller = authenticate(bench.services, text)
    (token,) = [t for t in bench.services.store.list_tokens() if t.id == caller.token_id]
    assert token.last_used_at is not None


def test_a_full_disk_locks_nobody_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    text = user_token(bench)

    def full(*_: object) -> None:
        raise StoreFull(where="the database")

    monkeypatch.setattr(type(bench.services.store), "touch_token", full)
    assert authenticate(bench.services, text).name == "ada"


def test_a_login_link_gives_one_session(bench: Bench) -> None:
    caller = authenticate(bench.services, user_token(bench, "mia", Scope.MEMBER))
    link = accounts.create_login_link_token(bench.services, caller)
    session = authenticate(bench.services, accounts.redeem_login_link(bench.services, link))
    assert (session.name, session.scope) == ("mia", Scope.MEMBER)
    with pytest.raises(NotLoggedIn):
        accounts.redeem_login_link(bench.services, link)


def test_of_two_browsers_with_one_link_one_is_let_in(bench: Bench) -> None:
    link = accounts.create_login_link_token(bench.services, ADA)
    barrier = threading.Barrier(4)

    def redeem(_: int) -> str:
        barrier.wait(30)
        try:
            return accounts.redeem_login_link(bench.services, link)
        except NotLoggedIn:
            return ""

    with ThreadPoolExecutor(4) as threads:
        assert len([session for session in threads.map(redeem, range(4)) if session]) == 1


def test_a_login_link_is_no_token_for_requests(bench: Bench) -> None:
    link = accounts.create_login_link_token(bench.services, ADA)
    with pytest.raises(NotLoggedIn, match="this token"):
        authenticate(bench.services, link)
    assert accounts.redeem_login_link(bench.services, link)


def test_a_login_link_is_good_for_minutes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    link = accounts.create_login_link_token(bench.services, ADA)
    later = bench.services.store.now() + 301
    monkeypatch.setattr(type(bench.services.store), "now", lambda _: later)
    with pytest.raises(NotLoggedIn):
        accounts.redeem_login_link(bench.services, link)


def test_an_ordinary_token_opens_no_session(bench: Bench) -> None:
    text = create_user_token(
        bench.services, ensure_user(bench.services, "ada", Scope.ADMIN), label="link to log in with"
    )
    with pytest.raises(NotLoggedIn, match="log in with this link"):
        accounts.redeem_login_link(bench.services, text)
    assert authenticate(bench.services, text).name == "ada"


@pytest.mark.parametrize("scope", [Scope.LOCAL, Scope.RUNNER, Scope.COMMAND])
def test_only_people_open_sessions(bench: Bench, scope: Scope) -> None:
    with pytest.raises(AccessDenied, match="browser session"):
        accounts.create_login_link_token(bench.services, Caller(name="x", scope=scope))


def test_a_commands_token_ends_with_its_job(bench: Bench) -> None:
    job = claimed(bench)
    text = accounts.create_job_token(bench.services, job, Scope.COMMAND, run_id="1" * 32)
    caller = authenticate(bench.services, text)
    assert (caller.name, caller.job_id, caller.run_id, caller.project_id) == (
        f"run:{'1' * 32}",
        job.id,
        "1" * 32,
        bench.project.id,
    )
    end(bench, job)
    with pytest.raises(NotLoggedIn):
        authenticate(bench.services, text)


def test_a_runners_token_is_told_that_its_claim_is_over(bench: Bench) -> None:
    job = claimed(bench)
    text = accounts.create_job_token(bench.services, job, Scope.RUNNER)
    assert not authenticate(bench.services, text).is_over
    end(bench, job)
    assert authenticate(bench.services, text).is_over


def test_tokens_of_an_older_claim_are_over(bench: Bench) -> None:
    job = claimed(bench)
    command = accounts.create_job_token(bench.services, job, Scope.COMMAND, run_id="1" * 32)
    runner = accounts.create_job_token(bench.services, job, Scope.RUNNER)
    bench.services.store.release(job.id, job.fence)
    bench.services.store.claim("there", pools=("local",), kinds=(JobKind.STAGE,), lease_s=60)
    assert authenticate(bench.services, runner).is_over
    with pytest.raises(NotLoggedIn):
        authenticate(bench.services, command)


def test_the_token_of_a_run_by_hand_ends_with_the_run(bench: Bench) -> None:
    created = bench.by_hand()
    assert authenticate(bench.services, created.token).run_id == created.run_id
    run = bench.services.store.get_run(created.run_id)
    runs.finish(bench.services, run, StageReport(fence=0, status=RunStatus.FINISHED))
    with pytest.raises(NotLoggedIn):
        authenticate(bench.services, created.token)


def test_a_ticket_is_exchanged_once(bench: Bench) -> None:
    job = claimed(bench)
    ticket = accounts.create_job_ticket(bench.services, job)
    with pytest.raises(NotLoggedIn):
        authenticate(bench.services, ticket)
    token = accounts.redeem_ticket(bench.services, job.id, ticket, SECRET)
    assert accounts.redeem_ticket(bench.services, job.id, ticket, SECRET) == token
    caller = authenticate(bench.services, token)
    assert (caller.scope, caller.job_id, caller.fence) == (Scope.RUNNER, job.id, job.fence)
    with pytest.raises(NotLoggedIn):
        accounts.redeem_ticket(bench.services, job.id, ticket, "t" * 43)
    assert [kind for kind, _ in bench.events("job.ticket_replayed")] == ["job.ticket_replayed"]


def test_a_ticket_is_for_its_own_job_and_claim(bench: Bench) -> None:
    job, other = claimed(bench), claimed(bench)
    ticket = accounts.create_job_ticket(bench.services, job)
    with pytest.raises(NotLoggedIn):
        accounts.redeem_ticket(bench.services, other.id, ticket, SECRET)
    with pytest.raises(InvalidInput):
        accounts.redeem_ticket(bench.services, job.id, ticket, "short")
    end(bench, job)
    with pytest.raises(Superseded):
        accounts.redeem_ticket(bench.services, job.id, ticket, SECRET)


RANKS = [
    (Scope.COMMAND, 0),
    (Scope.RUNNER, 0),
    (Scope.LOCAL, 1),
    (Scope.MEMBER, 2),
    (Scope.ADMIN, 3),
]


@pytest.mark.parametrize(("holds", "rank"), RANKS)
@pytest.mark.parametrize(("wanted", "least"), RANKS)
def test_a_scope_allows_what_lower_ones_do(holds: Scope, rank: int, wanted: Scope, least: int) -> None:
    caller = Caller(name="x", scope=holds)
    if rank >= least:
        require(caller, wanted, "do it")
        return
    with pytest.raises(AccessDenied, match="x may not do it"):
        require(caller, wanted, "do it")


def test_a_token_for_another_kind_of_subject_is_refused(bench: Bench) -> None:
    token = Token(id="", scope=Scope.ADMIN, subject="robot:x")
    with pytest.raises(NotLoggedIn):
        authenticate(bench.services, accounts.create_token(bench.services, token))


def test_a_token_is_noted_as_used_once_a_minute_and_refused_as_soon_as_it_is_revoked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, noted = user_token(bench), list[str]()
    store = bench.services.store
    touch = store.touch_token

    def note(token_id: str) -> None:
        noted.append(token_id)
        touch(token_id)

    monkeypatch.setattr(store, "touch_token", note)
    token_id = authenticate(bench.services, text).token_id
    authenticate(bench.services, text)
    assert noted == [token_id]
    later = store.now() + LAST_USE_S
    monkeypatch.setattr(store, "now", lambda: later)
    authenticate(bench.services, text)
    assert noted == [token_id] * 2
    monkeypatch.setattr(store, "now", lambda: later - 2 * LAST_USE_S)
    authenticate(bench.services, text)
    assert noted == [token_id] * 3, "a clock that runs back does not hide a use"
    store.revoke_token(token_id)
    with pytest.raises(NotLoggedIn):
        authenticate(bench.services, text)
