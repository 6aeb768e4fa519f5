"""The records of a spool's files of lines, as they are read; `docs/design/capture.md` has the table."""

from typing import Annotated, Any

import msgspec

from relive.core.run import Metric

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=250)]
_Step = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class SpooledMetric(msgspec.Struct, frozen=True, tag_field="t", tag="metric"):
    """One metric value; NaN and infinities as words, which JSON has no numbers for."""

    k: _Name
    v: float | str
    s: _Step = 0
    w: float = 0.0

    def metric(self) -> Metric:
        """Give the point; raises ValueError if its value is another word."""
        return Metric(self.k, float(self.v), self.s, self.w)


class SpooledParam(msgspec.Struct, frozen=True, tag_field="t", tag="param"):
    """One parameter."""

    k: _Name
    v: Any = None


class SpooledParsed(msgspec.Struct, frozen=True, tag_field="t", tag="parsed"):
    """A parameter as the program's parser gave it; `by` names the parser."""

    k: _Name
    v: Any = None
    by: str = ""


class SpooledTag(msgspec.Struct, frozen=True, tag_field="t", tag="tag"):
    """One label."""

    k: _Name
    v: str = ""


class SpooledArtifact(msgspec.Struct, frozen=True, tag_field="t", tag="artifact"):
    """A file or folder named as an artifact; `path` is absolute, as the process saw it."""

    path: str
    name: str


class SpooledStep(msgspec.Struct, frozen=True, tag_field="t", tag="step"):
    """One step of a stream: digests in hexadecimal, exact values as `float.hex()`."""

    stream: _Name
    s: _Step
    d: dict[str, str] = {}
    v: dict[str, str] = {}


class ProcessStart(msgspec.Struct, frozen=True, tag_field="t", tag="start"):
    """A process began to record; `forked` if it copied another rather than started anew."""

    format: int
    pid: int
    ppid: int = 0
    argv: tuple[str, ...] = ()
    python: str = ""
    implementation: str = ""
    executable: str = ""
    prefix: str = ""
    forked: bool = False
    rank: str = ""
    w: float = 0.0


class ProcessExit(msgspec.Struct, frozen=True, tag_field="t", tag="exit"):
    """What a process said of itself at its end; missing if it was killed or left by `os._exit`.

    Attributes:
        libraries: Paths of the shared libraries that were mapped.
        modules: Imported top-level modules outside the standard library, and the file of each.
        threads: Thread pools with their sizes.
        random: Digests of the random generators' states.
    """

    libraries: tuple[str, ...] = ()
    modules: dict[str, str] = {}
    threads: tuple[dict[str, Any], ...] = ()
    random: dict[str, Any] = {}
    w: float = 0.0


class SpooledAsked(msgspec.Struct, frozen=True, tag_field="t", tag="asked"):
    """The program's own code looked a variable of the environment up, set or not."""

    k: _Name


class SpooledOpened(msgspec.Struct, frozen=True, tag_field="t", tag="opened"):
    """The program's own code opened a file, first at this line: "train.py:12"."""

    k: str
    at: str


class SpooledFinish(msgspec.Struct, frozen=True, tag_field="t", tag="finish"):
    """The script said that its run has ended."""

    status: str = "finished"
    w: float = 0.0


class SpooledNote(msgspec.Struct, frozen=True, tag_field="t", tag="note"):
    """A sentence for people."""

    message: str


class SpooledError(msgspec.Struct, frozen=True, tag_field="t", tag="error"):
    """Something that could not be recorded, and where."""

    where: str
    message: str


Record = (
    SpooledMetric
    | SpooledParam
    | SpooledParsed
    | SpooledTag
    | SpooledArtifact
    | SpooledStep
    | ProcessStart
    | ProcessExit
    | SpooledAsked
    | SpooledOpened
    | SpooledFinish
    | SpooledNote
    | SpooledError
)
