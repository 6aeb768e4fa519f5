"""Packs a run's points, and kills itself with -9 just before its Nth statement.

`python -m tests.contract.killed_in_packing URL N` prints "whole" if N lies beyond the last one.
"""

import os
import signal
import sys
from typing import Any

from sqlalchemy import event

from relive.stores.sql.store import open_store


def main(url: str, n_statements: int) -> None:
    """Pack all, or die on the way: before a statement, or before what ends the transaction."""
    left = n_statements

    def count(*_args: Any) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    store = open_store(url)
    engine = store._db.engine
    event.listen(engine, "before_cursor_execute", count)
    event.listen(engine, "commit", count)
    while store.pack_metrics():
        pass
    print("whole", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
