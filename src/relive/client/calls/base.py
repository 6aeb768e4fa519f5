"""What every group of calls stands on."""

from relive.client.transport import Transport


class Calls:
    """Holds the transport; a subclass adds the calls of one noun."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
