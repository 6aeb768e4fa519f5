"""What other hubs said of a run that was brought in by an import: shown as their word."""

from collections.abc import Iterator

import msgspec

from relive.core.artifact import Manifest
from relive.core.claims import CLAIMS, CLAIMS_FILE, MOST_BYTES, Claim, decode_claims
from relive.errors import BlobNotFound, InvalidInput
from relive.hub.web.views.verdicts import VerdictDetail, detail
from relive.services.context import Services
from relive.wire.hub import RunDetail


class ClaimView(msgspec.Struct, frozen=True, kw_only=True):
    """What one hub said.

    Attributes:
        run_id: The run's id there.
        versions: Model version, its state there, and who registered it.
    """

    hub: str
    project: str
    run_id: str
    verdicts: tuple[VerdictDetail, ...]
    versions: tuple[tuple[str, str, str], ...]


def claims_on(services: Services, run: RunDetail) -> tuple[ClaimView, ...]:
    """Give what other hubs said of a run; what cannot be read was never said."""
    try:
        return tuple(map(_view, _find(services, run)))
    except (BlobNotFound, InvalidInput):
        return ()


def _find(services: Services, run: RunDetail) -> Iterator[Claim]:
    for artifact in run.artifacts:
        if artifact.path == CLAIMS and artifact.size_bytes <= MOST_BYTES:
            entry = Manifest.from_bytes(services.blobs.read(artifact.manifest)).find(CLAIMS_FILE)
            if entry is not None:
                yield from decode_claims(services.blobs.read(entry.digest)).claims


def _view(claim: Claim) -> ClaimView:
    return ClaimView(
        hub=claim.hub,
        project=claim.project,
        run_id=claim.run_id,
        verdicts=tuple(detail(verdict) for verdict in claim.verdicts),
        versions=tuple(
            (
                f"{it.model} v{it.version}",
                ", ".join(filter(None, (it.status, *it.aliases))),
                it.created_by,
            )
            for it in claim.versions
        ),
    )
