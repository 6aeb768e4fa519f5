"""Page tokens, as MLflow makes them: where the next page begins."""

import base64
import binascii
import json

from relive.services.mlflow.faults import invalid


def page_token(offset: int) -> str:
    """Make the token of the page that begins here."""
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()


def page_offset(token: str) -> int:
    """Say where a page begins; without a token at the beginning.

    Raises:
        MlflowFault: It is no token.
    """
    if not token:
        return 0
    try:
        decoded = base64.b64decode(token)
    except (binascii.Error, ValueError):
        raise invalid("Invalid page token, could not base64-decode") from None
    try:
        parsed = json.loads(decoded)
    except ValueError:
        raise invalid(f"Invalid page token, decoded value={decoded!r}") from None
    offset = parsed.get("offset") if isinstance(parsed, dict) else None
    if not offset:
        raise invalid(f"Invalid page token, parsed value={parsed}")
    if not isinstance(offset, int) or not 0 < offset < 1 << 62:
        raise invalid(f"Invalid page token, not stringable {offset}")
    return offset
