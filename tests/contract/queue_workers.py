"""Forks workers of a SQL store's queue: `python -m tests.contract.queue_workers URL`."""

import sys

from relive.stores.sql.store import open_store
from relive.testing.queue_workers import fork_workers

if __name__ == "__main__":
    fork_workers(lambda: open_store(sys.argv[1]))
