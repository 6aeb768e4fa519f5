"""May this version ship? A checklist in which every answer has its evidence."""

from collections.abc import Iterator, Sequence

import msgspec

from relive.core.endpoint import Endpoint
from relive.core.gates import GateResult
from relive.core.model import ModelVersion
from relive.core.pipeline import Action, Stage
from relive.core.trajectory import Verdict, VerdictLevel, latest_verdict
from relive.errors import NotFound, ReliveError
from relive.hub.web.marks import Mark
from relive.services.context import Services
from relive.services.describing import check_deployable
from relive.services.registry import load_recipe, was_seen

_TESTED = "Can it be tested before traffic?"
_YES, _NO, _OPEN = Mark("✔", "yes", "good"), Mark("✖", "no", "bad"), Mark("○", "open", "quiet")


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the checklist: a question, its answer, and the evidence."""

    question: str
    mark: Mark
    evidence: str
    url: str = ""


def checks_of(
    services: Services,
    version: ModelVersion,
    verdicts: Sequence[Verdict],
    stages: Sequence[Stage],
    serving: Sequence[Endpoint],
) -> tuple[Check, ...]:
    """Ask everything that is to be asked before a version ships.

    Args:
        services: The hub's.
        version: What would ship.
        verdicts: On the run that made it.
        stages: Of the pipeline that registered it.
        serving: Endpoints whose traffic it has.
    """
    return tuple(_all(services, version, verdicts, stages, serving))


def _all(
    services: Services,
    version: ModelVersion,
    verdicts: Sequence[Verdict],
    stages: Sequence[Stage],
    serving: Sequence[Endpoint],
) -> Iterator[Check]:
    yield _gates(stages)
    yield _replayed(version, verdicts)
    yield _signed(services, version)
    yield _tested(services, version)
    yield _clean(services, version)
    names = ", ".join(endpoint.name for endpoint in serving)
    yield Check(
        question="Is it served?",
        mark=_YES if serving else _OPEN,
        evidence=f"It has the traffic of {names}." if serving else "No endpoint sends it traffic.",
        url=f"/e/{serving[0].name}" if serving else "",
    )


def _signed(services: Services, version: ModelVersion) -> Check:
    question = "Is its origin signed?"
    if not version.provenance:
        return Check(question=question, mark=_NO, evidence="It has no signed statement.")
    if was_seen(services, version):
        said = "An in-toto statement with SLSA provenance names every input; verify it below."
        return Check(question=question, mark=_YES, evidence=said)
    by = version.created_by or "a client"
    said = f"Signed is that {by} stored these files; how they were made, this hub did not see."
    return Check(question=question, mark=_OPEN, evidence=said)


def _tested(services: Services, version: ModelVersion) -> Check:
    question = _TESTED
    if version.contract:
        said = "Signature and expected predictions were recorded from its example rows."
        return Check(question=question, mark=_YES, evidence=said)
    try:
        check_deployable(services, version)
    except ReliveError as error:
        said = error.what() + (f" To do: {error.to_do()}" if error.to_do() else "")
        return Check(question=question, mark=_NO, evidence=said)
    said = "Not yet: its first deployment records signature and expected predictions from its input example."
    return Check(question=question, mark=_OPEN, evidence=said)


def _gates(stages: Sequence[Stage]) -> Check:
    question = "Did it pass its gates?"
    gates = [
        msgspec.convert(item, GateResult, strict=False)
        for stage in stages
        if stage.action is Action.GATE
        for item in stage.result.get("gates", ())
    ]
    if not gates:
        return Check(question=question, mark=_OPEN, evidence="No gate has judged it.")
    failed = [gate.reason for gate in gates if not gate.ok]
    said = "; ".join(failed or [gate.reason for gate in gates])
    return Check(question=question, mark=_NO if failed else _YES, evidence=said)


def _replayed(version: ModelVersion, verdicts: Sequence[Verdict]) -> Check:
    question, last, url = "Can it be made again?", latest_verdict(verdicts), f"/r/{version.run_id}/replay"
    if last is None:
        said = f"Never replayed. Try: relive replay {version.model}@{version.version}"
        return Check(question=question, mark=_OPEN, evidence=said, url=url)
    bad = last.level is VerdictLevel.DIVERGED
    return Check(
        question=question,
        mark=_YES if last.level.is_good else _NO if bad else _OPEN,
        evidence=last.reason,
        url=url,
    )


def _clean(services: Services, version: ModelVersion) -> Check:
    question, url = "Are its inputs pinned?", f"/r/{version.run_id}/inputs"
    try:
        recipe = load_recipe(services, version.run_id)
    except NotFound:
        return Check(question=question, mark=_NO, evidence="No recipe of its inputs was recorded.", url=url)
    if recipe.observed and recipe.observed.changed:
        said = f"{', '.join(recipe.observed.changed)} changed while it was trained."
        return Check(question=question, mark=_NO, evidence=said, url=url)
    loose = [
        name
        for name, there in (
            ("packages", recipe.declared.environment),
            ("commit", recipe.declared.code.commit),
        )
        if not there
    ]
    if loose:
        return Check(question=question, mark=_OPEN, evidence=f"Not pinned: {', '.join(loose)}.", url=url)
    said = "Code, data and packages are known by their digests."
    return Check(question=question, mark=_YES, evidence=said, url=url)


def is_deployable(checks: Sequence[Check]) -> bool:
    """Tell whether a version can be tested before traffic, or described to be."""
    return all(check.mark is not _NO for check in checks if check.question == _TESTED)


def answer(checks: Sequence[Check]) -> tuple[Mark, str]:
    """Say whether a version may ship, in a word and a sentence; being served is no condition."""
    bad = [check.question for check in checks if check.mark is _NO]
    unsure = [check.question for check in checks[:-1] if check.mark is _OPEN]
    if bad:
        return Mark("✖", "No", "bad"), f"Answer first: {' '.join(bad)}"
    if unsure:
        return Mark("◐", "Not proven", "warn"), f"Still open: {' '.join(unsure)}"
    return Mark("✔", "Yes", "good"), "Every check has its evidence."
