"""The half of the blob contract that needs several threads or processes, and kills some of them."""

import itertools
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ClassVar, TypeAlias

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from relive.core.digest import Digest
from relive.formats.hashing import blake3_digest
from relive.ports.blobs import BlobStore
from relive.stores.blobs.registry import open_store
from relive.testing.blob_machine import BlobMachine
from relive.testing.blob_processes import sample_blobs

Process: TypeAlias = "subprocess.Popen[bytes]"

# For one wait, on a machine that has much else to do.
LIMIT_S = 240.0


class BlobEndurance:
    """What holds whatever happens at the same time, and whoever dies.

    Attributes:
        machines: How many random orders of calls are tried.
        kills: How many writing processes are killed.
        large_bytes: Size of the blob whose way through a process is watched.
        memory_bytes: How much the process may grow meanwhile; less than the blob.
    """

    machines: ClassVar[int] = 20
    kills: ClassVar[int] = 10
    large_bytes: ClassVar[int] = 64 * 2**20
    memory_bytes: ClassVar[int] = 16 * 2**20

    def test_any_order_of_calls_does_what_a_dictionary_does(self, store: BlobStore) -> None:
        """Storing, reading, refusing, asking and deleting do not depend on what came before."""

        class Machine(BlobMachine):
            pass

        Machine.store = store
        limits = settings(
            max_examples=self.machines,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(Machine, settings=limits)

    def test_two_handles_see_the_same_store(self, store: BlobStore, store_url: str) -> None:
        """What one process stores or deletes, another sees at once."""
        other = open_store(store_url)
        other.check()
        digest = store.put(b"abc").digest
        assert other.read(digest) == b"abc"
        assert other.delete(digest)
        assert store.find(digest) is None

    def test_threads_may_write_the_same_and_other_blobs_at_once(self, store: BlobStore) -> None:
        """All writers of one store object succeed, and equal bytes become one blob."""
        n_threads, n_rounds = 6, 4
        barrier = threading.Barrier(n_threads)

        def write(number: int) -> list[Digest]:
            digests = []
            for turn in range(n_rounds):
                barrier.wait(LIMIT_S)
                digests += [store.put(b"s%d" % turn).digest, store.put(b"o%d-%d" % (turn, number)).digest]
            return digests

        with ThreadPoolExecutor(n_threads) as threads:
            digests = set(itertools.chain.from_iterable(threads.map(write, range(n_threads))))
        assert len(digests) == n_rounds * (n_threads + 1)
        assert {info.digest for info in store.list()} == digests
        for digest in digests:
            store.verify(digest)

    def test_processes_may_write_the_same_and_other_blobs_at_once(
        self, store: BlobStore, store_url: str
    ) -> None:
        """All processes succeed, two of which write the same blobs at the same time."""
        n_blobs = 15
        seeds = [1, 1, 2]
        with _processes([["write_some", store_url, seed, n_blobs] for seed in seeds]) as processes:
            for process in processes:
                assert _line(process) == b"ready\n"
            for process in processes:
                _send(process, b"go\n")
            for process in processes:
                _wait_for_success(process)
        wanted = {
            blake3_digest(data) for seed in seeds for data in itertools.islice(sample_blobs(seed), n_blobs)
        }
        assert {info.digest for info in store.list()} == wanted
        for digest in wanted:
            store.verify(digest)

    def test_a_killed_writer_leaves_all_that_was_acknowledged_and_nothing_torn(
        self, store: BlobStore, store_url: str
    ) -> None:
        """Kill -9 at random moments: what was acknowledged is there, and what is there is whole."""
        draws = random.Random(0)
        acknowledged: list[Digest] = []
        for seed in range(self.kills):
            with _processes([["write_on", store_url, seed]]) as (process,):
                acknowledged += [_line(process).decode().strip() for _ in range(draws.randrange(1, 6))]
                # To be somewhere inside the next one, wherever that is on this machine.
                time.sleep(draws.uniform(0, 0.02))
                process.kill()
                rest, _ = process.communicate(timeout=LIMIT_S)
            # What it printed before it died was promised too; a line cut short was not.
            acknowledged += [
                line.strip() for line in rest.decode().splitlines(keepends=True) if line[-1:] == "\n"
            ]
        assert len(acknowledged) >= self.kills
        assert list(store.missing(acknowledged)) == []
        for info in store.list():
            store.verify(info.digest)
        assert store.put(b"and it goes on").size_bytes == 14

    def test_a_large_blob_passes_through_little_memory(self, store: BlobStore, store_url: str) -> None:
        """A process that writes and reads a large blob in pieces does not hold it."""
        assert self.memory_bytes < self.large_bytes
        with _processes([["stream", store_url, self.large_bytes]]) as (process,):
            told = json.loads(_wait_for_success(process))
        assert told["n_read"] == 2 * self.large_bytes
        assert told["writing"] < self.memory_bytes, told
        assert told["reading"] < self.memory_bytes, told
        assert store.get(told["digest"]).size_bytes == self.large_bytes


@contextmanager
def _processes(tasks: list[list[str | int]]) -> Iterator[list[Process]]:
    """Start processes; whatever happens, none is left."""
    command = [sys.executable, "-m", "relive.testing.blob_processes"]
    pipe = subprocess.PIPE
    started: list[Process] = []
    try:
        for task in tasks:
            arguments = [*command, *map(str, task)]
            started.append(subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe))
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate(timeout=LIMIT_S)


def _line(process: Process) -> bytes:
    """Wait for a process's next line; says why if it died instead."""
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert line.endswith(b"\n"), process.stderr.read().decode()
    return line


def _send(process: Process, line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def _wait_for_success(process: Process) -> bytes:
    """Give what a process printed, once it has ended well."""
    output, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, errors.decode()
    return output
