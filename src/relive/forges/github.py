"""GitHub: webhooks in, commit statuses out.

Source: GitHub's REST API, version 2022-11-28, "Create a commit status"; its documentation on validating
webhook deliveries. GitHub Enterprise Server answers the same under `/api/v3` of its own host.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from relive.core.forge import CommitStatus, ForgeLink, PushEvent
from relive.errors import AccessDenied, ForgeRefused, ForgeUnreachable, InvalidInput

NAME: Final = "GitHub"
_SIGNATURE: Final = "x-hub-signature-256"
_EVENT: Final = "x-github-event"
_DELIVERY: Final = "x-github-delivery"
_PUBLIC_HOST: Final = "github.com"
_LONGEST_DESCRIPTION: Final = 140
_TIMEOUT_S: Final = 20.0
_REPOSITORY: Final = re.compile(r"/?([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+?)(?:\.git)?/?")


class _Repository(msgspec.Struct):
    full_name: str


class _Sender(msgspec.Struct):
    login: str = ""


class _Envelope(msgspec.Struct):
    repository: _Repository


class _Push(msgspec.Struct):
    ref: str
    after: str
    repository: _Repository
    deleted: bool = False
    sender: _Sender = msgspec.field(default_factory=_Sender)


class GitHub:
    """Keeps `ports.forges.Forge`."""

    def link(self, url: str, *, token: str, webhook_secret: str, api_url: str = "") -> ForgeLink:
        """Make a link of an address like https://github.com/OWNER/REPO."""
        parts = urlsplit(url)
        found = _REPOSITORY.fullmatch(parts.path)
        if parts.scheme not in ("https", "http") or not parts.hostname or found is None or parts.username:
            wanted = "https://github.com/OWNER/REPO, without a token in it"
            raise InvalidInput(field="repository", value=url, wanted=wanted)
        host = parts.netloc
        default = f"https://api.{host}" if host == _PUBLIC_HOST else f"{parts.scheme}://{host}/api/v3"
        return ForgeLink(
            kind="github",
            url=url,
            repository=found[1],
            token=token,
            webhook_secret=webhook_secret,
            api_url=(api_url or default).rstrip("/"),
        )

    def repository_of(self, body: bytes) -> str:
        """Give the repository that a webhook claims to speak of."""
        envelope: _Envelope = _decode(body, _Envelope)
        return envelope.repository.full_name

    def verify(self, link: ForgeLink, headers: Mapping[str, str], body: bytes) -> None:
        """Check the HMAC-SHA256 over the raw bytes, in constant time."""
        given = headers.get(_SIGNATURE, "")
        expected = "sha256=" + hmac.new(link.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
        if not link.webhook_secret or not hmac.compare_digest(given.encode(), expected.encode()):
            raise AccessDenied(
                action="start pipelines",
                who="this webhook",
                needs=f"{_SIGNATURE} made with the project's secret",
            )

    def read_push(self, headers: Mapping[str, str], body: bytes) -> PushEvent | None:
        """Read a push event; None for every other event."""
        if headers.get(_EVENT) != "push":
            return None
        push = _decode(body, _Push)
        return PushEvent(
            repository=push.repository.full_name,
            ref=push.ref,
            after="" if push.deleted else push.after,
            actor=push.sender.login or "github",
        )

    def delivery_id(self, headers: Mapping[str, str]) -> str:
        """Give X-GitHub-Delivery."""
        found = headers.get(_DELIVERY, "")
        if not found:
            raise InvalidInput(field=_DELIVERY, value="", wanted="the id of the delivery")
        return found

    def fetch_variables(self, link: ForgeLink) -> dict[str, str]:
        """Give the token to git as a header, through variables that no other user can read."""
        if not link.token:
            return {}
        login = base64.b64encode(f"x-access-token:{link.token}".encode()).decode()
        base = "{0.scheme}://{0.netloc}/".format(urlsplit(link.url))
        return {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{base}.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {login}",
        }

    def set_status(self, link: ForgeLink, commit: str, status: CommitStatus) -> None:
        """Create a commit status."""
        import urllib3  # late: a hub that follows no forge never needs it

        path = f"/repos/{quote(link.repository)}/statuses/{quote(commit)}"
        try:
            reply = urllib3.request(
                "POST",
                link.api_url + path,
                body=msgspec.json.encode(status_body(status)),
                headers={
                    "Accept": "application/vnd.github+json",
                    "Authorization": f"Bearer {link.token}",
                    "Content-Type": "application/json",
                    "User-Agent": "relive",
                    "X-GitHub-Api-Version": "2022-11-28",
                },
                timeout=_TIMEOUT_S,
                retries=False,
                redirect=False,  # the token must not follow to another host
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ForgeUnreachable(forge=NAME, reason=str(error)) from error
        if reply.status >= 500:
            raise ForgeUnreachable(forge=NAME, reason=f"status {reply.status}")
        if reply.status >= 300:
            raise ForgeRefused(forge=NAME, status=reply.status, message=_message(reply.data))


def status_body(status: CommitStatus) -> dict[str, Any]:
    """Give the request's body."""
    text = status.description
    short = text if len(text) <= _LONGEST_DESCRIPTION else f"{text[: _LONGEST_DESCRIPTION - 1]}…"
    return {
        "state": status.state.value,
        "target_url": status.url,
        "description": short,
        "context": status.context,
    }


def _message(data: bytes) -> str:
    try:
        return str(msgspec.json.decode(data, type=dict[str, Any]).get("message", ""))
    except msgspec.MsgspecError:
        return data[:200].decode(errors="replace")


def _decode(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(field="webhook", value=body[:80], wanted=f"one of GitHub's ({error})") from error
