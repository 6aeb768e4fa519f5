"""What an archive brings beside the run: what the hub that wrote it said of the run, as that hub's word."""

from pathlib import Path
from typing import Final

import msgspec

from relive.client.hub import HubClient
from relive.client.importers.foreign import Tree
from relive.core.claims import (
    CLAIMS,
    CLAIMS_FILE,
    MOST_BYTES,
    Claim,
    ClaimedVersion,
    Claims,
    decode_claims,
    encode_claims,
    joined,
)
from relive.core.model import ModelVersion
from relive.errors import InvalidInput
from relive.wire.hub import RunDetail

# Below `record/` of an archive.
_MEMBER: Final = "claim.json"


def write_claim(hub: HubClient, detail: RunDetail, record: Path) -> None:
    """Write the verdicts and model versions of a run into the record of its archive, if there are any."""
    versions = tuple(_claimed(hub, it) for it in detail.versions)
    if not (detail.verdicts or versions):
        return
    claim = Claim(
        hub=hub.get_info().url,
        project=detail.project,
        run_id=detail.run.id,
        run=detail.run.name,
        verdicts=tuple(sorted(detail.verdicts, key=lambda it: (it.at, it.id))),
        versions=tuple(sorted(versions, key=lambda it: (it.model, it.version))),
    )
    (record / _MEMBER).write_bytes(encode_claims(Claims(claims=(claim,))))


def claims_of(record: Path, trees: tuple[Tree, ...], target: Path) -> tuple[Tree, ...]:
    """Give the artifacts of a run that is taken in, the claims on it among them.

    Args:
        record: Of the archive, laid out.
        trees: Its artifacts; it may have brought claims of earlier hubs.
        target: An empty place for the claims.

    Raises:
        InvalidInput: The claims cannot be read.
    """
    earlier = Claims()
    for tree in trees:
        file = tree.root / CLAIMS_FILE
        if tree.path == CLAIMS and file.is_file():
            earlier = decode_claims(file.read_bytes())
    file = record / _MEMBER
    own = decode_claims(file.read_bytes()).claims if file.is_file() else ()
    claims = earlier
    for claim in own:
        claims = joined(claims, claim)
    if not claims.claims:
        return trees
    target.mkdir(parents=True)
    (target / CLAIMS_FILE).write_bytes(encode_claims(claims))
    return (*(it for it in trees if it.path != CLAIMS), Tree(CLAIMS, "artifact", target))


def find_claims(hub: HubClient, detail: RunDetail) -> tuple[Claim, ...]:
    """Give what other hubs said of a run that was brought in; what cannot be read was never said."""
    for artifact in detail.artifacts:
        if artifact.path != CLAIMS or artifact.size_bytes > MOST_BYTES:
            continue
        entry = hub.blobs.fetch_manifest(artifact.manifest).find(CLAIMS_FILE)
        try:
            return decode_claims(hub.blobs.get_bytes(entry.digest)).claims if entry is not None else ()
        except InvalidInput:
            return ()
    return ()


def _claimed(hub: HubClient, version: ModelVersion) -> ClaimedVersion:
    aliases = hub.get_model(version.model).aliases
    mine = tuple(sorted(it.alias for it in aliases if it.version == version.version))
    same = {name: getattr(version, name) for name in _SAME}
    return ClaimedVersion(aliases=mine, statement=version.provenance, **same)


_SAME: Final = tuple(
    field.name
    for field in msgspec.structs.fields(ClaimedVersion)
    if field.name not in ("aliases", "statement")
)
