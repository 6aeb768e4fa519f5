"""What the places where things are kept could not do."""

from dataclasses import dataclass

from relive.errors.base import ReliveError


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
        return "put it back from a backup of the hub's store"


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
class SecretUnreadable(ReliveError):
    """A secret that was encrypted with another key."""

    code = "secret_unreadable"
    subject: str

    def what(self) -> str:
        return f"{self.subject} cannot be decrypted: it was encrypted with another key."

    def to_do(self) -> str | None:
        return "set RELIVE_SECRET_KEY to the key of that time, or give the secret again"
