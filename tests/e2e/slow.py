"""A hub whose disk is slow: `python slow.py SECONDS up …` lets each commit wait so long."""

import sys
import time
from typing import Any

from sqlalchemy import Engine, event

from relive.cli.main import main


def slow_down(seconds: float) -> None:
    """Wait where the database would wait for its disk."""

    def wait(_connection: Any) -> None:
        time.sleep(seconds)

    event.listen(Engine, "commit", wait)


if __name__ == "__main__":
    slow_down(float(sys.argv[1]))
    sys.argv[1:] = sys.argv[2:]
    main()
