"""What came in is wrong, is not there, or does not fit the present state."""

from dataclasses import dataclass
from typing import Any

from relive.errors.base import ReliveError


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
class InvalidFilter(InvalidInput):
    """A filter or an order that cannot be read; `at` says where, counted from 0."""

    code = "invalid_filter"
    at: int = 0

    def what(self) -> str:
        lines = [self.sentence]
        if "\n" not in self.value and len(self.value) <= 200:
            lines += [f"  {self.value}", f"  {' ' * self.at}^"]
        return "\n".join(lines)

    def expected(self) -> str | None:
        return None

    @property
    def sentence(self) -> str:
        """Say what is wrong, and where."""
        return f"{self.wanted} (at character {self.at + 1} of the {self.field})"


@dataclass(eq=False)
class InvalidPipelineFile(ReliveError):
    """A relive.yaml that cannot be used; every problem found is listed."""

    code = "invalid_pipeline_file"
    path: str
    problems: tuple[str, ...]
    hint: str | None = "relive pipeline check"

    def what(self) -> str:
        count = len(self.problems)
        head = f"{self.path} has {count} problem{'s' if count != 1 else ''}:"
        return "\n".join([head, *(f"  - {problem}" for problem in self.problems)])

    def to_do(self) -> str | None:
        return self.hint


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
class NotSupportedYet(ReliveError):
    """A word relive knows, for something it cannot do yet."""

    code = "not_supported_yet"
    what_is_asked: str

    def what(self) -> str:
        return f"{self.what_is_asked} is not yet supported; it is refused rather than ignored."


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}…"
