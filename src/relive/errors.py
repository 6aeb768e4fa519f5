"""Every error relive raises, as one tree.

    ReliveError
    ├── InvalidInput              what came in is wrong: names the field, the value, what was expected
    │   ├── InvalidName
    │   ├── InvalidDigest
    │   ├── InvalidManifest
    │   ├── InvalidRange
    │   └── InvalidPipelineFile   every problem of a relive.yaml at once
    ├── NotFound                  no such run, project, blob, …
    │   └── BlobNotFound
    ├── Ambiguous                 a short id that fits several
    ├── Conflict                  the state does not allow it (exists already, finished already)
    │   └── Superseded            a stale worker's write, refused by its fence
    ├── AccessDenied
    │   └── NotLoggedIn
    ├── StoreFull                 disk or quota
    ├── StoreUnavailable          a blob store that cannot be reached, or refuses
    ├── DatabaseFailed            the fact store could not do what was asked
    │   ├── DatabaseUnreachable   it is not there, refuses us, or cannot be read
    │   ├── DatabaseBusy          others held it for too long; nothing was changed
    │   └── DatabaseTooNew        a later relive made its tables
    ├── BlobCorrupt               bytes that are not what their digest says
    │   └── BlobDigestMismatch
    ├── SignatureInvalid          a statement that none of our keys signed
    ├── EnvironmentFailed         an environment could not be resolved or built
    ├── CommandFailed             a command ended with another code than 0
    ├── GitFailed                 a git command that could not do what was asked
    ├── LaunchFailed              an executor that could not place a job
    ├── CannotReplay              a recipe that cannot be rebuilt here
    ├── HubUnreachable
    ├── HubRefused                the hub answered with an error
    ├── NotSupportedYet           a known word whose capability does not exist yet
    └── PortTaken

Each class holds its facts as fields and makes the sentence itself, so that the
command line, HTTP and the log say the same. Statuses live in `hub/errors.py`,
exit codes in `cli/main.py`.
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar


class ReliveError(Exception):
    """Base of every error that relive raises on purpose."""

    code: ClassVar[str] = "error"

    def what(self) -> str:
        """Say what happened, in one sentence."""
        raise NotImplementedError(f"{type(self).__name__} has no sentence")

    def expected(self) -> str | None:
        """Say what was expected instead, where that helps."""
        return None

    def to_do(self) -> str | None:
        """Say what the reader can do about it, as a command where there is one."""
        return None

    def facts(self) -> dict[str, Any]:
        """Give the fields of this error, for `--json`, HTTP and logs."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]  # every subclass is a dataclass

    def __str__(self) -> str:
        lines = [self.what()]
        if expected := self.expected():
            lines.append(f"  expected: {expected}")
        if to_do := self.to_do():
            lines.append(f"  try:      {to_do}")
        return "\n".join(lines)


@dataclass(eq=False)
class InvalidInput(ReliveError):
    """A value that came in cannot be used."""

    code = "invalid_input"
    field: str
    value: Any
    wanted: str
    hint: str | None = None

    def what(self) -> str:
        return f"{self.field} is {_short(self.value)}, which cannot be used."

    def expected(self) -> str | None:
        return self.wanted

    def to_do(self) -> str | None:
        return self.hint


@dataclass(eq=False)
class InvalidName(InvalidInput):
    """A name that breaks the rule for names."""

    code = "invalid_name"


@dataclass(eq=False)
class InvalidDigest(InvalidInput):
    """Text that is not a digest."""

    code = "invalid_digest"


@dataclass(eq=False)
class InvalidManifest(InvalidInput):
    """A manifest whose paths cannot be laid out in a folder."""

    code = "invalid_manifest"


@dataclass(eq=False)
class InvalidRange(InvalidInput):
    """A range of bytes that lies outside the blob."""

    code = "invalid_range"


@dataclass(eq=False)
class InvalidPipelineFile(ReliveError):
    """A relive.yaml that cannot be used; every problem found is listed."""

    code = "invalid_pipeline_file"
    path: str
    problems: tuple[str, ...]

    def what(self) -> str:
        count = len(self.problems)
        head = f"{self.path} has {count} problem{'s' if count != 1 else ''}:"
        return "\n".join([head, *(f"  - {problem}" for problem in self.problems)])

    def to_do(self) -> str | None:
        return "relive pipeline check"


@dataclass(eq=False)
class NotFound(ReliveError):
    """Something was asked for that does not exist."""

    code = "not_found"
    kind: str
    name: str
    hint: str | None = None

    def what(self) -> str:
        return f"There is no {self.kind} {self.name!r}."

    def to_do(self) -> str | None:
        return self.hint


@dataclass(eq=False)
class BlobNotFound(NotFound):
    """The blob store does not hold this digest."""

    code = "blob_not_found"


@dataclass(eq=False)
class Ambiguous(ReliveError):
    """A shortened id fits more than one."""

    code = "ambiguous"
    kind: str
    name: str
    candidates: tuple[str, ...]

    def what(self) -> str:
        return f"{self.name!r} fits {len(self.candidates)} of kind {self.kind}: {', '.join(self.candidates)}."

    def to_do(self) -> str | None:
        return "give more characters of the id"


@dataclass(eq=False)
class Conflict(ReliveError):
    """The present state does not allow what was asked."""

    code = "conflict"
    subject: str
    reason: str
    hint: str | None = None

    def what(self) -> str:
        return f"{self.subject}: {self.reason}."

    def to_do(self) -> str | None:
        return self.hint


@dataclass(eq=False)
class Superseded(Conflict):
    """A worker wrote after its lease had gone to another."""

    code = "superseded"


@dataclass(eq=False)
class AccessDenied(ReliveError):
    """This token may not do this."""

    code = "access_denied"
    action: str
    who: str
    needs: str

    def what(self) -> str:
        return f"{self.who} may not {self.action}."

    def expected(self) -> str | None:
        return self.needs


@dataclass(eq=False)
class NotLoggedIn(AccessDenied):
    """No token, or one that is unknown, expired or revoked."""

    code = "not_logged_in"

    def to_do(self) -> str | None:
        return "relive login URL"


@dataclass(eq=False)
class StoreFull(ReliveError):
    """There is no room for what was to be written."""

    code = "store_full"
    where: str
    needed_bytes: int | None = None
    free_bytes: int | None = None
    limit: str = "disk"

    def what(self) -> str:
        needed = f"{self.needed_bytes} bytes" if self.needed_bytes is not None else "the data"
        free = f", {self.free_bytes} are free" if self.free_bytes is not None else ""
        return f"No room for {needed} in {self.where} ({self.limit}{free}); nothing was kept."

    def to_do(self) -> str | None:
        return "free some space, or raise the quota; writes go on by themselves after that"


@dataclass(eq=False)
class StoreUnavailable(ReliveError):
    """A blob store cannot be used now."""

    code = "store_unavailable"
    store: str
    reason: str
    hint: str | None = None

    def what(self) -> str:
        return f"The blob store {self.store} cannot be used: {self.reason}."

    def to_do(self) -> str | None:
        return self.hint


@dataclass(eq=False)
class DatabaseFailed(ReliveError):
    """The fact store could not do what was asked.

    Attributes:
        database: Its address, without a password.
        reason: What its driver said.
    """

    code = "database_failed"
    database: str
    reason: str

    def what(self) -> str:
        return f"The database {self.database} could not do what was asked: {self.reason}."


@dataclass(eq=False)
class DatabaseUnreachable(DatabaseFailed):
    """The database is not there, refuses us, or cannot be read."""

    code = "database_unreachable"

    def what(self) -> str:
        return f"The database {self.database} cannot be used: {self.reason}."

    def to_do(self) -> str | None:
        return "see that it runs and lets us in; the hub goes on by itself after that"


@dataclass(eq=False)
class DatabaseBusy(DatabaseFailed):
    """Others held the database, or a part of it, for too long; nothing was changed."""

    code = "database_busy"

    def what(self) -> str:
        return f"The database {self.database} was busy for too long: {self.reason}; nothing was changed."

    def to_do(self) -> str | None:
        return "try again"


@dataclass(eq=False)
class DatabaseTooNew(DatabaseFailed):
    """A later relive made this database's tables."""

    code = "database_too_new"
    found: str
    known: str

    def what(self) -> str:
        return f"The database {self.database} cannot be used: {self.reason}."

    def expected(self) -> str | None:
        return f"schema {self.known} or older; it has schema {self.found}"

    def to_do(self) -> str | None:
        return "start the relive that made it, or a later one"


@dataclass(eq=False)
class BlobCorrupt(ReliveError):
    """A blob's bytes are not what its digest says."""

    code = "blob_corrupt"
    digest: str
    actual: str

    def what(self) -> str:
        return f"Blob {self.digest} is damaged: its bytes hash to {self.actual}."

    def to_do(self) -> str | None:
        return "relive fsck"


@dataclass(eq=False)
class BlobDigestMismatch(BlobCorrupt):
    """The bytes received are not those that were announced."""

    code = "blob_digest_mismatch"

    def what(self) -> str:
        return f"The bytes received hash to {self.actual}, announced was {self.digest}; nothing was kept."

    def to_do(self) -> str | None:
        return "send them again"


@dataclass(eq=False)
class SignatureInvalid(ReliveError):
    """A signed statement that does not verify."""

    code = "signature_invalid"
    subject: str
    reason: str

    def what(self) -> str:
        return f"The signature of {self.subject} does not verify: {self.reason}."


@dataclass(eq=False)
class EnvironmentFailed(ReliveError):
    """An environment could not be resolved or built."""

    code = "environment_failed"
    source: str
    reason: str
    hint: str | None = None

    def what(self) -> str:
        return f"The environment of {self.source} could not be built: {self.reason}"

    def to_do(self) -> str | None:
        return self.hint


@dataclass(eq=False)
class CommandFailed(ReliveError):
    """A command did not end with 0."""

    code = "command_failed"
    command: str
    exit_code: int
    reason: str

    def what(self) -> str:
        return f"{self.command!r} failed: {self.reason} (exit code {self.exit_code})."


@dataclass(eq=False)
class GitFailed(ReliveError):
    """A git command could not do what was asked."""

    code = "git_failed"
    action: str
    reason: str
    hint: str | None = None

    def what(self) -> str:
        return f"git {self.action} failed: {self.reason}"

    def to_do(self) -> str | None:
        return self.hint


@dataclass(eq=False)
class LaunchFailed(ReliveError):
    """An executor could not place a job."""

    code = "launch_failed"
    job: str
    executor: str
    reason: str
    hint: str | None = None

    def what(self) -> str:
        return f"Job {self.job} could not be started by the executor {self.executor!r}: {self.reason}"

    def to_do(self) -> str | None:
        return self.hint


@dataclass(eq=False)
class CannotReplay(ReliveError):
    """A run whose recipe cannot be rebuilt here."""

    code = "cannot_replay"
    run: str
    missing: str
    hint: str | None = None

    def what(self) -> str:
        return f"Run {self.run} cannot be replayed: {self.missing}."

    def to_do(self) -> str | None:
        return self.hint


@dataclass(eq=False)
class HubUnreachable(ReliveError):
    """The hub does not answer."""

    code = "hub_unreachable"
    url: str
    reason: str

    def what(self) -> str:
        return f"The hub at {self.url} does not answer: {self.reason}."

    def to_do(self) -> str | None:
        return "relive up    (or: relive login URL, for a hub elsewhere)"


@dataclass(eq=False)
class HubRefused(ReliveError):
    """The hub answered with an error; its words are kept."""

    code = "hub_refused"
    status: int
    error_code: str
    message: str
    details: dict[str, Any]

    def what(self) -> str:
        return self.message


@dataclass(eq=False)
class NotSupportedYet(ReliveError):
    """A word relive knows, for something it cannot do yet."""

    code = "not_supported_yet"
    what_is_asked: str

    def what(self) -> str:
        return f"{self.what_is_asked} is not yet supported; it is refused rather than ignored."


@dataclass(eq=False)
class PortTaken(ReliveError):
    """Another program listens where the hub wants to."""

    code = "port_taken"
    host: str
    port: int

    def what(self) -> str:
        return f"Another program listens on {self.host}:{self.port}."

    def to_do(self) -> str | None:
        return f"relive up --port {self.port + 1}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}…"
