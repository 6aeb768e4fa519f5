"""JUnit reports as pytest, GoogleTest, Surefire and others write them.

Counts the test cases themselves, because the counts that reports carry disagree about what they count. A
report is written by the command, so it is not trusted: no document type, hence no entities that grow or that
read files; bounded in size and depth; read in one pass.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn
from xml.parsers import expat

from relive.core.run import TestReport
from relive.errors import InvalidInput

MAX_BYTES: Final = 64 << 20
MOST_FAILURES: Final = 100
LONGEST_MESSAGE: Final = 2000
_DEEPEST: Final = 50

_ROOTS = ("testsuites", "testsuite")
# What a case holds, the worst first; a retry that passed in the end (Surefire) is no failure.
_OUTCOMES = ("error", "failure", "skipped")
_BAD = ("error", "failure")
# GoogleTest says so in an attribute.
_NOT_RUN = ("notrun", "disabled", "skipped", "suppressed")


def parse_junit(data: bytes, *, path: str = "the JUnit report") -> TestReport:
    """Read a report.

    Args:
        data: The XML, at most 64 MiB.
        path: Its name, for the error.

    Raises:
        InvalidInput: It is too large, no XML, has a document type, or is no JUnit report.
    """
    if len(data) > MAX_BYTES:
        raise InvalidInput(
            field=path, value=f"{len(data)} bytes", wanted=f"at most {MAX_BYTES} bytes (64 MiB)"
        )
    reader = _Reader(path)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise InvalidInput(field=path, value=data[:60], wanted=f"a JUnit report in XML ({error})") from error
    return reader.report()


@dataclass(slots=True)
class _Case:
    """An open test case, or the error of a whole suite."""

    name: str
    seconds: float = 0.0
    outcome: str = ""
    message: str = ""
    body: str = ""
    type: str = ""

    def told(self) -> str:
        """Say what went wrong: as the report says it shortly, else at length."""
        return (self.message.strip() or self.body.strip() or self.type)[:LONGEST_MESSAGE]


@dataclass(slots=True)
class _Reader:
    """Takes the parser's events. `hears` says that the text that comes belongs to the open case's outcome."""

    path: str
    open: list[str] = field(default_factory=list)
    suites: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    case: _Case | None = None
    hears: bool = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name, parent = tag.rpartition(":")[2], self.open[-1] if self.open else ""
        if not parent and name not in _ROOTS:
            self.refuse(f"<{name[:40]}>", "<testsuites> or <testsuite> as its root")
        if len(self.open) >= _DEEPEST:
            self.refuse(f"<{name[:40]}>", f"at most {_DEEPEST} elements inside one another")
        self.open.append(name)
        if name == "testsuite":
            self.suites.append(attributes.get("name", ""))
        elif name == "testcase":
            self.case = _case(attributes)
        elif name in _OUTCOMES and parent == "testcase":
            self.found(name, attributes)
        elif name in _BAD and parent == "testsuite":
            self.case = _Case(self.suites[-1] or "the test suite")
            self.found(name, attributes)

    def found(self, outcome: str, attributes: Mapping[str, str]) -> None:
        """Take the worst of what a case says of itself."""
        case, ranks = self.case, (*_OUTCOMES, "")
        if case is not None and ranks.index(outcome) < ranks.index(case.outcome):
            case.outcome, case.body = outcome, ""
            case.message, case.type = attributes.get("message", ""), attributes.get("type", "")
            self.hears = True

    def text(self, data: str) -> None:
        if self.hears and self.case is not None and len(self.case.body) < LONGEST_MESSAGE:
            self.case.body += data[:LONGEST_MESSAGE]

    def end(self, _: str) -> None:
        name, parent = self.open.pop(), self.open[-1] if self.open else ""
        if name in _OUTCOMES:
            self.hears = False
        if name == "testsuite":
            self.suites.pop()
        if name == "testcase" or (name in _BAD and parent == "testsuite"):
            self.close()

    def close(self) -> None:
        case, self.case = self.case, None
        if case is None:
            return
        self.outcomes[case.outcome] += 1
        self.seconds += case.seconds
        if case.outcome in _BAD and len(self.failures) < MOST_FAILURES:
            self.failures.append((case.name[:LONGEST_MESSAGE], case.told()))

    def doctype(self, *_: object) -> None:
        self.refuse("<!DOCTYPE>", "a report without a document type")

    def refuse(self, value: str, wanted: str) -> NoReturn:
        raise InvalidInput(field=self.path, value=value, wanted=wanted)

    def report(self) -> TestReport:
        return TestReport(
            tests=self.outcomes.total(),
            passed=self.outcomes[""],
            failed=self.outcomes["failure"],
            errors=self.outcomes["error"],
            skipped=self.outcomes["skipped"],
            duration_s=round(self.seconds, 6),
            failures=tuple(self.failures),
        )


def _case(attributes: Mapping[str, str]) -> _Case:
    folder = attributes.get("classname", "")
    name = attributes.get("name", "") or "a test without a name"
    is_left_out = attributes.get("status") in _NOT_RUN or attributes.get("result") in _NOT_RUN
    return _Case(
        name=f"{folder}::{name}" if folder else name,
        seconds=_seconds(attributes.get("time", "")),
        outcome="skipped" if is_left_out else "",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text.replace(",", ""))  # Surefire writes "1,234.5" in some languages
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds >= 0 else 0.0
