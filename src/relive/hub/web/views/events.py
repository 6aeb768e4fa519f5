"""What happened, in sentences."""

from collections.abc import Callable
from typing import Any

import msgspec

from relive.core.event import Event
from relive.hub.web.marks import Mark
from relive.hub.web.words import branch, clip, short

_GOOD, _BAD, _WARN, _QUIET, _BUSY = "good", "bad", "warn", "quiet", "busy"

_MARKS: dict[str, Mark] = {
    "push": Mark("↑", "push", _BUSY),
    "project.created": Mark("+", "new project", _QUIET),
    "project.deleted": Mark("-", "project deleted", _QUIET),
    "pipeline.started": Mark("◐", "started", _BUSY),
    "pipeline.succeeded": Mark("✔", "passed", _GOOD),
    "pipeline.failed": Mark("✖", "failed", _BAD),
    "pipeline.gated": Mark("⊟", "stopped by a gate", _WARN),
    "pipeline.cancelled": Mark("⊘", "cancelled", _QUIET),
    "gate.passed": Mark("✔", "gate passed", _GOOD),
    "gate.failed": Mark("⊟", "gate failed", _WARN),
    "model.registered": Mark("◆", "registered", _BUSY),
    "model.described": Mark("◇", "described", _BUSY),
    "alias.moved": Mark("★", "alias moved", _GOOD),
    "endpoint.deployed": Mark("▲", "deployed", _GOOD),
    "endpoint.rolled_back": Mark("▼", "rolled back", _WARN),
    "replay.judged": Mark("↻", "replayed", _GOOD),
    "model.rotted": Mark("✖", "rotted", _BAD),
}
_VERDICT_TONES = {"bit_exact": _GOOD, "within_tolerance": _GOOD, "diverged": _BAD, "spot_checked": _QUIET}


class EventLine(msgspec.Struct, frozen=True, kw_only=True):
    """An event as a sentence; `url` leads to what it is about, empty if nowhere."""

    id: int
    at: float
    kind: str
    mark: Mark
    actor: str
    sentence: str
    url: str
    project: str


def event_line(event: Event) -> EventLine:
    """Say an event in a sentence."""
    kind, _, subject = event.subject.partition(":")
    facts = event.facts
    describe = _SENTENCES.get(event.kind)
    mark = _MARKS.get(event.kind) or Mark("•", event.kind.replace("_", " ").replace(".", " "), _QUIET)
    if event.kind == "replay.judged":
        mark = Mark("↻", "replayed", _VERDICT_TONES.get(str(facts.get("level")), _WARN))
    return EventLine(
        id=event.id,
        at=event.at,
        kind=event.kind,
        mark=mark,
        actor=event.actor,
        sentence=clip(describe(facts) if describe else _plain(event), 180),
        url=_url(kind, subject, event),
        project=event.project,
    )


def _pipeline(verb: str) -> Callable[[dict[str, Any]], str]:
    def say(facts: dict[str, Any]) -> str:
        title = facts.get("title") or f"commit {short(str(facts.get('commit', '')))}"
        return f"pipeline #{facts.get('number', '?')} {verb}: {title}"

    return say


def _stage(verb: str) -> Callable[[dict[str, Any]], str]:
    def say(facts: dict[str, Any]) -> str:
        reason = facts.get("reason")
        return f"{facts.get('stage', 'stage')} {verb}" + (f": {reason}" if reason else "")

    return say


def _push(facts: dict[str, Any]) -> str:
    name, new = facts.get("branch") or branch(str(facts.get("ref", ""))), short(str(facts.get("new", "")))
    return f"pushed {new} to {name}" if new else f"deleted {name}"


def _alias(facts: dict[str, Any]) -> str:
    moved = f"{facts.get('alias')} of {facts.get('model')} is now v{facts.get('version')}"
    return f"{moved}, was v{facts['previous']}" if facts.get("previous") else moved


def _traffic(verb: str) -> Callable[[dict[str, Any]], str]:
    def say(facts: dict[str, Any]) -> str:
        version = f" ({facts['model']} v{facts.get('version')})" if facts.get("model") else ""
        return f"endpoint {facts.get('endpoint')} {verb} revision {facts.get('revision')}{version}"

    return say


def _described(facts: dict[str, Any]) -> str:
    version = f"{facts.get('model')} v{facts.get('version')}"
    made = f"registered by {facts['registered_by']}, " if facts.get("registered_by") else ""
    return f"had {version} described to serve it ({made}environment from {facts.get('environment_from')})"


def _rotted(facts: dict[str, Any]) -> str:
    named = f"{facts.get('model')} v{facts.get('version')} ({', '.join(facts.get('aliases', []))})"
    return f"{named} can no longer be made again: {facts.get('reason', '')}"


def _replayed(facts: dict[str, Any]) -> str:
    return f"{str(facts.get('level', '')).replace('_', '-')}: {facts.get('reason', '')}"


_SENTENCES: dict[str, Callable[[dict[str, Any]], str]] = {
    "push": _push,
    "project.created": lambda _: "created the project",
    "project.deleted": lambda _: "deleted the project, in which nothing was",
    "pipeline.started": _pipeline("started"),
    "pipeline.succeeded": _pipeline("passed"),
    "pipeline.failed": _pipeline("failed"),
    "pipeline.gated": _pipeline("was stopped by a gate"),
    "pipeline.cancelled": _pipeline("was cancelled"),
    "pipeline.cancel_asked": lambda _: "asked a pipeline to end",
    "stage.succeeded": _stage("passed"),
    "stage.failed": _stage("failed"),
    "stage.skipped": _stage("was skipped"),
    "stage.cancelled": _stage("was cancelled"),
    "stage.retried": _stage("is tried again"),
    "gate.passed": lambda facts: f"gate passed: {facts.get('reason', '')}",
    "gate.failed": lambda facts: f"gate failed: {facts.get('reason', '')}",
    "model.registered": lambda facts: f"registered {facts.get('model')} v{facts.get('version')}",
    "model.described": _described,
    "alias.moved": _alias,
    "endpoint.deployed": _traffic("now serves"),
    "endpoint.rolled_back": _traffic("went back to"),
    "endpoint.deployment_cancelled": _traffic("no longer awaits"),
    "replay.judged": _replayed,
    "model.rotted": _rotted,
}


def _plain(event: Event) -> str:
    reason = event.facts.get("reason")
    said = event.kind.replace(".", " ").replace("_", " ")
    return f"{said}: {reason}" if reason else said


def _url(kind: str, subject: str, event: Event) -> str:
    facts = event.facts
    if kind == "version" and facts.get("model"):
        return f"/m/{facts['model']}/v/{facts['version']}"
    if kind == "endpoint" and facts.get("endpoint"):
        return f"/e/{facts['endpoint']}"
    if kind == "stage" and facts.get("pipeline"):
        return f"/pipelines/{facts['pipeline']}"
    if kind == "project":
        return f"/p/{event.project}" if event.project else ""
    return {"pipeline": f"/pipelines/{subject}", "run": f"/r/{subject}"}.get(kind, "")
