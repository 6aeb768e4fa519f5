"""Users, tokens, and who a request comes from."""

import hmac
import logging
import re

import msgspec

from relive.core.access import LAST_USE_S, TICKET_PREFIX, Caller, Scope, Token, User
from relive.core.event import Event
from relive.core.job import Job, JobState
from relive.errors import AccessDenied, Conflict, InvalidInput, NotLoggedIn, ReliveError
from relive.services.context import Services
from relive.services.ids import new_id, new_secret, secret_digest

_log = logging.getLogger(__name__)

TOKEN_PREFIX = "rlv"

_RANK = {Scope.COMMAND: 0, Scope.RUNNER: 0, Scope.LOCAL: 1, Scope.MEMBER: 2, Scope.ADMIN: 3}
_USER, _JOB, _LOGIN = "user", "job", "login"
_ID = re.compile(r"[0-9a-f]{16}")
_SHORTEST_SECRET = 32
_LONGEST_WORDS = 200
_LONGEST_LIFE_S = 1000 * 366 * 86400.0
_LOGIN_LIFE_S = 300.0
_SESSION_LIFE_S = 30 * 86400.0


def ensure_user(services: Services, name: str, role: Scope) -> User:
    """Give the user of this name, creating it on first use.

    Raises:
        InvalidInput: This cannot be a user's name.
    """
    store = services.store
    if (found := store.find_user(_words("user", name))) is not None:
        return found
    try:
        return store.create_user(User(id=new_id(), name=name, role=role, created_at=store.now()))
    except Conflict:
        return ensure_user(services, name, role)  # somebody else made it in between


def create_token(services: Services, token: Token) -> str:
    """Keep a token (its id is made here) and give its text, which is shown only this once."""
    secret = new_secret()
    kept = services.store.create_token(
        msgspec.structs.replace(token, id=new_id()[:16], created_at=services.store.now()),
        secret_digest(secret),
    )
    return f"{TOKEN_PREFIX}_{kept.id}_{secret}"


def create_user_token(services: Services, user: User, *, label: str, life_s: float | None = None) -> str:
    """Make a token that acts as this user.

    Raises:
        InvalidInput: The label is none, or it would never have lived.
    """
    if life_s is not None and not 0 < life_s <= _LONGEST_LIFE_S:
        raise InvalidInput(
            field="life_s", value=life_s, wanted="seconds, more than 0 and less than 1000 years"
        )
    expires = None if life_s is None else services.store.now() + life_s
    token = Token(
        id="",
        scope=user.role,
        subject=f"{_USER}:{user.name}",
        label=_words("label", label),
        expires_at=expires,
    )
    return create_token(services, token)


def create_job_token(services: Services, job: Job, scope: Scope, *, run_id: str = "") -> str:
    """Make a token that dies with this claim of the job."""
    return create_token(
        services,
        Token(
            id="",
            scope=scope,
            subject=f"job:{job.id}",
            label=f"{scope} of job {job.id[:8]}",
            project_id=job.project_id,
            run_id=run_id,
            fence=job.fence,
        ),
    )


def create_job_ticket(services: Services, job: Job) -> str:
    """Make a ticket for the runner of this claim: good for one exchange, so that others may see it later."""
    secret = new_secret()
    ticket = Token(
        id=new_id()[:16],
        scope=Scope.RUNNER,
        subject=f"job:{job.id}",
        label=f"ticket of job {job.id[:8]}",
        project_id=job.project_id,
        fence=job.fence,
        created_at=services.store.now(),
    )
    kept = services.store.create_token(ticket, _ticket_digest(secret))
    return f"{TICKET_PREFIX}_{kept.id}_{secret}"


def redeem_ticket(services: Services, job_id: str, text: str, secret: str) -> str:
    """Exchange a ticket for the runner's token, whose secret part the runner brings; holds its lease, too.

    The same ticket with the same secret gives the same token again, because the answer may have been lost.

    Raises:
        NotLoggedIn: No such ticket, or it was exchanged before by somebody else, which is recorded.
        Superseded: The claim that the ticket belongs to is over.
    """
    if len(secret) < _SHORTEST_SECRET:
        raise InvalidInput(field="secret", value="…", wanted=f"at least {_SHORTEST_SECRET} characters")
    with services.store.transaction():
        ticket = _find_ticket(services, job_id, text)
        # Also a lock: of two exchanges of one ticket the second sees what the first did.
        job = services.store.renew(job_id, ticket.fence, lease_s=services.place.lease_s)
        token = msgspec.structs.replace(
            ticket, id=secret_digest(ticket.id)[:16], label=f"{Scope.RUNNER} of job {job_id[:8]}"
        )
        before = services.store.find_token(token.id)
        if before is None:
            services.store.create_token(token, secret_digest(secret))
    if before is not None and not hmac.compare_digest(before[1], secret_digest(secret)):
        facts = {"job": job_id, "fence": ticket.fence, "ticket": ticket.id}
        services.record(Event(kind="job.ticket_replayed", actor="hub", subject=job.subject, facts=facts))
        raise _refused("a ticket that nobody has used before")
    return f"{TOKEN_PREFIX}_{token.id}_{secret}"


def create_login_link_token(services: Services, caller: Caller) -> str:
    """Make a one-time token with which a browser gets a session."""
    if not caller.is_admin and caller.scope is not Scope.MEMBER:
        raise AccessDenied(action="open a browser session", who=caller.name, needs="a user's token")
    return create_token(
        services,
        Token(
            id="",
            scope=caller.scope,
            subject=f"{_LOGIN}:{caller.name}",
            label="link to log in with",
            expires_at=services.store.now() + _LOGIN_LIFE_S,
        ),
    )


def redeem_login_link(services: Services, text: str) -> str:
    """Turn a one-time token into a session token; the link does not work again.

    Raises:
        NotLoggedIn: It is no such token, was used before, or is too old.
    """
    token = _find_good(services, text)
    kind, _, name = token.subject.partition(":")
    # Whoever takes it away is the one who used it: of two at the same moment one is too late.
    if kind != _LOGIN or not services.store.revoke_token(token.id):
        raise NotLoggedIn(
            action="log in with this link", who="this browser", needs="a fresh link: relive open"
        )
    return create_token(
        services,
        Token(
            id="",
            scope=token.scope,
            subject=f"{_USER}:{name}",
            label="browser",
            expires_at=services.store.now() + _SESSION_LIFE_S,
        ),
    )


def authenticate(services: Services, text: str) -> Caller:
    """Tell who holds this token.

    A runner's whose claim is over is told apart (`is_over`), for it has to hear that it was superseded.

    Raises:
        NotLoggedIn: It is unknown, revoked, expired, no token for requests, or what it was for is over.
    """
    token = _find_good(services, text)
    kind, _, name = token.subject.partition(":")
    if kind == _USER:
        return _user(services, token, name)
    if kind == _JOB:
        return _job(services, token, name)
    raise _refused("a token for requests; open this link in a browser")


def _find_good(services: Services, text: str) -> Token:
    token_id, secret = _parts(text, TOKEN_PREFIX)
    found = services.store.find_token(token_id)
    if found is None or not hmac.compare_digest(found[1], secret_digest(secret)):
        raise _unknown()
    token = found[0]
    if token.expires_at is not None and token.expires_at < services.store.now():
        raise _refused("a token that has not expired")
    return token


def _user(services: Services, token: Token, name: str) -> Caller:
    if token.run_id and services.store.get_run(token.run_id).status.is_final:
        raise _refused("a token of a run that still runs")
    _note_use(services, token)
    return Caller(
        name=name,
        scope=token.scope,
        token_id=token.id,
        run_id=token.run_id,
        project_id=token.project_id,
    )


def _note_use(services: Services, token: Token) -> None:
    used = token.last_used_at
    if used is not None and 0 <= services.store.now() - used < LAST_USE_S:
        return
    try:
        services.store.touch_token(token.id)
    except ReliveError as error:
        # Whoever comes while the disk is full is let in all the same.
        _log.warning("the last use of token %s is not noted: %s", token.id, error)


def _job(services: Services, token: Token, job_id: str) -> Caller:
    job = services.store.get_job(job_id)
    is_over = job.fence != token.fence or job.state is not JobState.RUNNING
    if is_over and token.scope is Scope.COMMAND:
        raise _refused("a token of a job that still runs")
    return Caller(
        name=f"run:{token.run_id}" if token.run_id else f"job:{job_id}",
        scope=token.scope,
        token_id=token.id,
        job_id=job_id,
        fence=token.fence,
        run_id=token.run_id,
        project_id=token.project_id,
        is_over=is_over,
    )


def require(caller: Caller, scope: Scope, action: str) -> None:
    """Refuse a caller below this scope.

    Raises:
        AccessDenied: The caller's token allows less.
    """
    if _RANK[caller.scope] < _RANK[scope]:
        raise AccessDenied(action=action, who=caller.name, needs=f"a token of scope {scope.value} or higher")


def require_reader(caller: Caller, project_id: str) -> None:
    """Refuse the token of a job or a run that reads outside its own project; people read everything.

    Args:
        caller: Who asks.
        project_id: Whose things are read; empty for the whole hub's.

    Raises:
        AccessDenied: They are of another project.
    """
    is_person = caller.scope not in (Scope.COMMAND, Scope.RUNNER)
    if not is_person and (not project_id or caller.project_id != project_id):
        raise AccessDenied(action="read this", who=caller.name, needs="something of its own project")


def _refused(needs: str) -> NotLoggedIn:
    return NotLoggedIn(action="do this", who="this token", needs=needs)


def _unknown() -> NotLoggedIn:
    # Of a wrong form or of another hub: to whoever holds it, it is the same.
    return NotLoggedIn(action="do this", who="an unknown token", needs="a token that this hub knows")


def _find_ticket(services: Services, job_id: str, text: str) -> Token:
    ticket_id, secret = _parts(text, TICKET_PREFIX)
    found = services.store.find_token(ticket_id)
    if found is None or not hmac.compare_digest(found[1], _ticket_digest(secret)):
        raise _refused("a ticket that this hub knows")
    if found[0].subject != f"job:{job_id}":
        raise _refused("a ticket of this job")
    return found[0]


def _ticket_digest(secret: str) -> str:
    """Give a digest that no token has: else a ticket could be written as a token, and be one."""
    return secret_digest(f"{TICKET_PREFIX} {secret}")


def _parts(text: str, prefix: str) -> tuple[str, str]:
    parts = text.split("_", 2)
    if len(parts) != 3 or parts[0] != prefix or not _ID.fullmatch(parts[1]):
        raise _unknown()
    return parts[1], parts[2]


def _words(field: str, text: str) -> str:
    """Give a text back if people can read it in a list."""
    if not text.strip() or len(text) > _LONGEST_WORDS or not text.isprintable():
        raise InvalidInput(field=field, value=text, wanted=f"1 to {_LONGEST_WORDS} printable characters")
    return text
