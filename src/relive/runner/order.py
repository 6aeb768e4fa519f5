"""What an executor tells the process that it starts, and how that process becomes the runner of its claim."""

import secrets
import sys
from typing import Final

import msgspec

from relive.client.transport import MSGPACK, Transport, path_of
from relive.core.access import TICKET_PREFIX
from relive.wire.jobs import RedeemTicket, RunnerToken

# Less than a lease lasts: who cannot reach the hub says so, before the hub only knows that it was silent.
_PATIENCE_S: Final = 20.0
_SILENCE_S: Final = 10.0


class Order(msgspec.Struct, frozen=True):
    """The line that an executor writes: which job, under which claim, and how to reach the hub."""

    hub: str
    job: str
    fence: int
    token: str


def read_order() -> Order:
    """Read the order from standard input, which is closed then; a ticket is exchanged for the token.

    Raises:
        msgspec.MsgspecError: There is no such line.
        HubUnreachable: The hub does not answer at the address that the order names.
        HubRefused: The hub does not take the ticket.
        Superseded: The claim is over.
    """
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    # The command must not inherit what is left of our standard input.
    sys.stdin.close()
    if not order.token.startswith(f"{TICKET_PREFIX}_"):
        return order
    hub = Transport(order.hub, retry_for_s=_PATIENCE_S, timeout_s=_SILENCE_S)
    asked = RedeemTicket(ticket=order.token, secret=secrets.token_urlsafe(32))
    path = path_of("jobs", order.job, "token")
    given = hub.post(path, asked, RunnerToken, repeatable=True, encoding=MSGPACK)
    hub.close()
    return msgspec.structs.replace(order, token=given.token)
