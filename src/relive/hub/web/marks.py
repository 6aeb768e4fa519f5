"""Statuses as a glyph and a word, so that no reader depends on colour."""

from typing import Final

import msgspec

from relive.core.endpoint import RevisionState
from relive.core.pipeline import PipelineStatus, StageStatus
from relive.core.review import IssueStatus, ReviewStatus
from relive.core.run import RunStatus
from relive.core.trace import TraceState
from relive.core.trajectory import VerdictLevel


class Mark(msgspec.Struct, frozen=True):
    """A status for people.

    Attributes:
        glyph: One character; it tells statuses apart without colour.
        word: What it means.
        tone: "good", "bad", "warn", "busy" or "quiet": which colour it may have as well.
    """

    glyph: str
    word: str
    tone: str


_WAITING = Mark("○", "waiting", "quiet")
_QUEUED = Mark("◔", "queued", "quiet")
_RUNNING = Mark("◐", "running", "busy")
_FAILED = Mark("✖", "failed", "bad")
_CANCELLED = Mark("⊘", "cancelled", "quiet")

STAGES: Final[dict[StageStatus, Mark]] = {
    StageStatus.WAITING: _WAITING,
    StageStatus.QUEUED: _QUEUED,
    StageStatus.RUNNING: _RUNNING,
    StageStatus.SUCCEEDED: Mark("✔", "passed", "good"),
    StageStatus.CACHED: Mark("↺", "cached", "good"),
    StageStatus.FAILED: _FAILED,
    StageStatus.SKIPPED: Mark("–", "skipped", "quiet"),
    StageStatus.CANCELLED: _CANCELLED,
}
PIPELINES: Final[dict[PipelineStatus, Mark]] = {
    PipelineStatus.QUEUED: _QUEUED,
    PipelineStatus.RUNNING: _RUNNING,
    PipelineStatus.SUCCEEDED: Mark("✔", "passed", "good"),
    PipelineStatus.FAILED: _FAILED,
    PipelineStatus.GATED: Mark("⊟", "stopped by a gate", "warn"),
    PipelineStatus.CANCELLED: _CANCELLED,
}
RUNS: Final[dict[RunStatus, Mark]] = {
    RunStatus.SCHEDULED: Mark("◔", "scheduled", "quiet"),
    RunStatus.RUNNING: _RUNNING,
    RunStatus.FINISHED: Mark("✔", "finished", "good"),
    RunStatus.FAILED: _FAILED,
    RunStatus.KILLED: Mark("⊘", "killed", "quiet"),
    RunStatus.LOST: Mark("⚠", "lost", "warn"),
}
VERDICTS: Final[dict[VerdictLevel, Mark]] = {
    VerdictLevel.BIT_EXACT: Mark("≡", "bit-exact", "good"),
    VerdictLevel.WITHIN_TOLERANCE: Mark("≈", "within tolerance", "good"),
    VerdictLevel.DIVERGED: Mark("≠", "diverged", "bad"),
    VerdictLevel.UNRESOLVED: Mark("?", "unresolved", "warn"),
    VerdictLevel.NOT_COMPARABLE: Mark("∤", "not comparable", "warn"),
    VerdictLevel.SPOT_CHECKED: Mark("∴", "spot-checked", "quiet"),
}
NEVER_REPLAYED: Final = Mark("·", "never replayed", "quiet")
NO_VERSION: Final = Mark("·", "no version", "quiet")
REVISIONS: Final[dict[RevisionState, Mark]] = {
    RevisionState.PENDING: _WAITING,
    RevisionState.STARTING: Mark("◐", "starting", "busy"),
    RevisionState.READY: Mark("✔", "ready", "good"),
    RevisionState.STOPPED: Mark("■", "stopped", "quiet"),
    RevisionState.FAILED: _FAILED,
}
TRACES: Final[dict[TraceState, Mark]] = {
    TraceState.UNSPECIFIED: Mark("?", "unknown", "quiet"),
    TraceState.OK: Mark("✔", "ok", "good"),
    TraceState.ERROR: _FAILED,
    TraceState.IN_PROGRESS: _RUNNING,
}
# By the words that spans come with.
SPANS: Final[dict[str, Mark]] = {
    "OK": Mark("✔", "ok", "good"),
    "ERROR": _FAILED,
    "UNSET": Mark("•", "done", "quiet"),
}
REVIEWS: Final[dict[ReviewStatus, Mark]] = {
    ReviewStatus.PENDING: Mark("○", "pending", "quiet"),
    ReviewStatus.COMPLETE: Mark("✔", "complete", "good"),
    ReviewStatus.DECLINED: Mark("⊘", "declined", "quiet"),
}
ISSUES: Final[dict[IssueStatus, Mark]] = {
    IssueStatus.PENDING: Mark("○", "pending", "warn"),
    IssueStatus.REJECTED: Mark("⊘", "rejected", "quiet"),
    IssueStatus.RESOLVED: Mark("✔", "resolved", "good"),
}
VERSIONS: Final[dict[str, Mark]] = {
    "candidate": Mark("○", "candidate", "quiet"),
    "promoted": Mark("✔", "promoted", "good"),
    "rejected": Mark("⊟", "rejected by a gate", "warn"),
}
PINNED: Final[dict[str, Mark]] = {
    "pinned": Mark("✔", "pinned", "good"),
    "unpinned": Mark("⚠", "unpinned", "warn"),
    "unknown": Mark("?", "unknown", "quiet"),
}


def of_version(status: str) -> Mark:
    """Give the mark of a model version's status; one that is not known here is shown as it is."""
    return VERSIONS.get(status) or Mark("•", status, "quiet")
