"""The routing table as the router sees it: a file that the hub replaces."""

import logging
import os
from pathlib import Path

from relive.core.endpoint import RoutingTable, decode_table
from relive.errors import InvalidInput

_log = logging.getLogger("relive.router")


class TableFile:
    """Keeps the newest routing table of a file.

    A table that cannot be read, or whose version is lower than one seen before, changes nothing: requests go
    where they went.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self.table = RoutingTable(version=-1, endpoints={})

    @property
    def known(self) -> bool:
        """Tell whether a table was ever read."""
        return self.table.version >= 0

    def refresh(self) -> bool:
        """Take in the file if it was replaced; True if there is a new table."""
        try:
            stat = os.stat(self._path)
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if seen == self._seen:
                return False
            self._seen = seen
            table = decode_table(self._path.read_bytes())
        except FileNotFoundError:
            return False  # the hub has written none yet
        except (OSError, InvalidInput) as error:
            _log.error("the routing table %s cannot be read and is left out: %s", self._path, error)
            return False
        if table.version < self.table.version:
            _log.warning(
                "routing table %d is older than %d and is left out", table.version, self.table.version
            )
            return False
        self.table = table
        _log.info("routing table %d: %s", table.version, ", ".join(sorted(table.endpoints)) or "no endpoints")
        return True
