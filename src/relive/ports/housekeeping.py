"""What keeping house asks of the fact store: what may go, and what must not."""

from collections.abc import Collection, Iterator
from typing import Protocol

import msgspec


class Deleted(msgspec.Struct, frozen=True):
    """Ids of what was deleted long enough ago."""

    runs: tuple[str, ...]
    experiments: tuple[str, ...]


class KeepingStore(Protocol):
    """Purging, pins of blobs, and room on the disk."""

    def list_deleted(self, *, before: float, limit: int = 100) -> Deleted:
        """Name what was deleted before a time and what nothing that stays refers to.

        A run stays that a model version or a stage of a pipeline names; an experiment, while it has runs.
        """
        ...

    def purge_run(self, run_id: str) -> bool:
        """Delete a run that is marked deleted, with all its rows; False if it is not marked any more."""
        ...

    def purge_experiment(self, experiment_id: str) -> bool:
        """Delete an experiment that is marked deleted and has no runs, with all its rows.

        The files of its traces go too, and those of its logged models but where one became a model's version.
        """
        ...

    def list_digests(self) -> Iterator[set[str]]:
        """Give every digest that any text in the store holds, in pieces; some come more than once."""
        ...

    def oldest_open(self, *, since: float) -> float | None:
        """Give when the oldest of what still works was made, if that was later than `since`.

        That is a job that makes something (not one that serves), a pipeline, a run by hand.
        """
        ...

    def pin_blobs(self, digests: Collection[str]) -> set[str]:
        """Keep blobs from being deleted for a day; gives those for which it is too late."""
        ...

    def doom_blobs(self, digests: Collection[str]) -> set[str]:
        """Let nobody be told any more that these blobs are there; gives those that no pin keeps."""
        ...

    def release_blobs(self, *, before: float) -> None:
        """Forget pins older than a time, and that blobs were to be deleted."""
        ...

    def delete_expired(self, *, tokens_before: float, batches_before: float) -> int:
        """Delete tokens that expired before a time, and the ids of batches of points that came before one."""
        ...

    def drop_superseded_logs(self, *, before: float) -> int:
        """Let go of the logs of runs that ended before a time and that others took over."""
        ...

    def give_back(self, *, most_bytes: int) -> int:
        """Give room that rows no longer need back to the file system; gives how many bytes.

        PostgreSQL does this by itself, and so does nothing here.
        """
        ...

    def tidy(self) -> None:
        """Let the database look again at how its tables are best read."""
        ...

    def compact(self) -> int:
        """Write the whole database anew, if it cannot give back room otherwise; gives how many bytes less."""
        ...
