"""Verdicts on the command line: the same glyphs and words wherever one is shown."""

import time
from collections.abc import Iterable
from typing import Final

from relive.cli.output import ago, escape, out, plural
from relive.core.claims import Claim
from relive.core.trajectory import Verdict, VerdictLevel

WORDS: Final = {
    VerdictLevel.BIT_EXACT: "≡ bit-exact",
    VerdictLevel.WITHIN_TOLERANCE: "≈ within tolerance",
    VerdictLevel.DIVERGED: "≠ diverged",
    VerdictLevel.UNRESOLVED: "? unresolved",
    VerdictLevel.NOT_COMPARABLE: "? not comparable",
    VerdictLevel.SPOT_CHECKED: "∴ spot-checked",
}


def verdict_word(verdict: Verdict | None) -> str:
    """Give a verdict's glyph and word; "never" for none."""
    return WORDS[verdict.level] if verdict is not None else "never"


def verdict_line(verdict: Verdict) -> str:
    """Say a verdict in one line."""
    return f"{WORDS[verdict.level]}   {verdict.reason}"


def judged_line(verdict: Verdict, total: int) -> str:
    """Say when and where it was judged, by whom, with what accepted, and how many there are in all."""
    on = f" on {verdict.machine}" if verdict.machine else ""
    by = f" by {verdict.by}" if verdict.by else ""
    accepted = f"; accepted: {', '.join(verdict.substitutes)}" if verdict.substitutes else ""
    return f"{ago(verdict.at, time.time())}{by}{on}{accepted}; {plural(total, 'verdict')} in all"


def print_claims(claims: Iterable[Claim]) -> None:
    """Say what other hubs said of a run that was brought in by an import: nothing of it was judged here."""
    now = time.time()
    for claim in claims:
        out.print(
            escape(f"brought in from {claim.hub}, run {claim.run_id} of {claim.project}; not judged here:")
        )
        for verdict in claim.verdicts:
            by = f" by {verdict.by}" if verdict.by else ""
            on = f" on {verdict.machine}" if verdict.machine else ""
            out.print(
                escape(f"           said there: {verdict_line(verdict)}  ({ago(verdict.at, now)}{by}{on})")
            )
        for version in claim.versions:
            aliases = f", {', '.join(version.aliases)} there" if version.aliases else ""
            by = f" by {version.created_by}" if version.created_by else ""
            name = f"{version.model} v{version.version}"
            out.print(escape(f"           registered there: {name} ({version.status}{aliases}){by}"))
