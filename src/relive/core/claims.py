"""What another hub said of a run that came from there: verdicts and model versions, kept as its word.

They are a document among the artifacts of the run, and never rows of this hub's own: nothing here judged
them, and nothing here goes by them (noise, badges, gates).
"""

from typing import Any, Final

import msgspec

from relive.core.trajectory import Verdict
from relive.errors import InvalidInput

# The artifact of an imported run, and the file in it.
CLAIMS: Final = "archive/claims"
CLAIMS_FILE: Final = "claims.json"
FORMAT: Final = "relive.claims/1"
MOST_BYTES: Final = 16 << 20


class ClaimedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A model version that a run was registered as.

    Attributes:
        version: The number that it had there.
        manifest: Digest of the model folder's manifest.
        sha256: SHA-256 over the folder's files, as it was signed.
        aliases: That pointed to it when the archive was written.
        statement: Digest of the signed statement's blob; empty without one.
    """

    model: str
    version: int
    manifest: str = ""
    sha256: str = ""
    status: str = ""
    loader: str = ""
    description: str = ""
    source: str = ""
    facts: dict[str, Any] = {}
    aliases: tuple[str, ...] = ()
    statement: str = ""
    created_by: str = ""
    created_at: float = 0.0


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What one hub said of a run when it wrote an archive of it.

    Attributes:
        hub: Its address.
        run_id: The run's id there.
        run: The run's name there.
    """

    hub: str
    project: str
    run_id: str
    run: str = ""
    verdicts: tuple[Verdict, ...] = ()
    versions: tuple[ClaimedVersion, ...] = ()


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """All claims on a run, of the first hub first."""

    format: str = FORMAT
    claims: tuple[Claim, ...] = ()


def encode_claims(claims: Claims) -> bytes:
    """Write claims, the same for equal ones."""
    return msgspec.json.format(msgspec.json.encode(claims, order="sorted"))


def decode_claims(data: bytes) -> Claims:
    """Read claims.

    Raises:
        InvalidInput: They are none, or of a format that is not known.
    """
    try:
        found = msgspec.json.decode(data, type=Claims)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(field=CLAIMS_FILE, value=data[:80], wanted=f"claims ({error})") from error
    if found.format != FORMAT:
        raise InvalidInput(field="format of the claims", value=found.format, wanted=FORMAT)
    return found


def joined(earlier: Claims, claim: Claim | None) -> Claims:
    """Add what one more hub said; it is left away if that was nothing, or is there already."""
    if claim is None or claim in earlier.claims or not (claim.verdicts or claim.versions):
        return earlier
    others = tuple(it for it in earlier.claims if (it.hub, it.run_id) != (claim.hub, claim.run_id))
    return Claims(claims=(*others, claim))
