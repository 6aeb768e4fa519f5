"""What every use case is given: the ports, and where this hub is."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from relive.core.event import Event
from relive.ports.blobs import BlobStore
from relive.ports.executors import Executor
from relive.ports.forges import Vault
from relive.ports.repositories import Repositories
from relive.ports.sender import Sender
from relive.ports.signer import Signer
from relive.ports.stores import Store


@dataclass(frozen=True)
class HubPlace:
    """Where this hub is.

    Attributes:
        owner: Unique for this process; it signs leases with it.
        data_dir: The data folder.
        local_url: Address for processes on this machine.
        public_url: Address for everyone else; the same without `--public-url`.
        version: relive's version.
        lease_s: How long a job may be silent.
        silence_s: How long the process of a run by hand may be silent; 0 for any time.
        slots: Jobs the local pool places at once.
    """

    owner: str
    data_dir: Path
    local_url: str
    public_url: str
    version: str
    lease_s: float = 30.0
    silence_s: float = 3600.0
    slots: int = 2


@dataclass(frozen=True)
class Services:
    """The ports that use cases work with.

    Attributes:
        executor_of: Pool name to the executor that places its jobs; raises `NotFound`.
        wake: Tells the scheduler that there may be something to do.
    """

    store: Store
    blobs: BlobStore
    repositories: Repositories
    signer: Signer
    vault: Vault
    sender: Sender
    executor_of: Callable[[str], Executor]
    place: HubPlace
    wakeup: threading.Event = field(default_factory=threading.Event)

    def wake(self) -> None:
        """Tell the scheduler that there may be something to do."""
        self.wakeup.set()

    def record(self, event: Event) -> None:
        """Keep a fact and wake whoever waits for facts."""
        self.store.record_event(event)
        self.wake()
