"""`relive replay --offline`: what it says before it starts."""

from relive.client.hub import HubClient, connect
from relive.errors import HubUnreachable, NoHubToReplay
from relive.runner.hermetic import no_recorder


def hub_for_replay(*, offline: bool) -> HubClient:
    """Give the hub, which has code, data and wheels; offline it must answer at once.

    Raises:
        NoHubToReplay: It does not; says what needs none.
        HubUnknown: No hub is known.
    """
    try:
        if offline:
            connect().get_info()
    except HubUnreachable as error:
        raise NoHubToReplay(url=error.url, reason=error.reason) from error
    return connect(retry_for_s=60.0)


def offline_sentence() -> str:
    """Say what is shut out on this machine."""
    why = no_recorder()
    if not why:
        return "offline: no package index is asked, and the command reaches no network but the hub"
    return f"offline: no package index is asked; the command's network cannot be shut here ({why})"
