"""A TCP proxy that counts what passes and breaks connections when it is told to."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PIECE_BYTES = 1 << 16
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Hands on what comes on `port` to another port of this machine, each connection in two threads.

    Attributes:
        sent_bytes: From clients to the server, of all connections.
        given_bytes: From the server to clients.
    """

    def __init__(self, target_port: int) -> None:
        self.sent_bytes = 0
        self.given_bytes = 0
        self.n_cuts = 0
        self._plan: list[tuple[int, Callable[[], None]]] = []
        self._target = ("127.0.0.1", target_port)
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def at(self, n_bytes: int, do: Callable[[], None]) -> None:
        """Do something, once, when so many bytes have passed in both directions together."""
        self._plan.append((n_bytes, do))
        self._plan.sort(key=lambda step: step[0])

    def cut(self) -> None:
        """Break every connection, as a router that is restarted does."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
            self.n_cuts += 1
        for pair in pairs:
            for side in pair:
                _reset(side)

    def close(self) -> None:
        """End."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            try:
                server = socket.create_connection(self._target)
            except OSError:
                _reset(client)  # the server is away
                continue
            with self._lock:
                self._pairs.add((client, server))
            threading.Thread(target=self._pass, args=(client, server, "sent_bytes"), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, "given_bytes"), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, counter: str) -> None:
        try:
            while piece := source.recv(_PIECE_BYTES):
                target.sendall(piece)
                self._count(counter, len(piece))
            target.shutdown(socket.SHUT_WR)
        except OSError:
            _reset(source)
            _reset(target)

    def _count(self, counter: str, n_bytes: int) -> None:
        with self._lock:
            setattr(self, counter, getattr(self, counter) + n_bytes)
            passed = self.sent_bytes + self.given_bytes
            due = [do for at, do in self._plan if at <= passed]
            self._plan = [step for step in self._plan if step[0] > passed]
        for do in due:
            do()


@contextmanager
def running_proxy(target_port: int) -> Iterator[Proxy]:
    """Run a proxy before a port of this machine."""
    proxy = Proxy(target_port)
    try:
        yield proxy
    finally:
        proxy.close()


def _reset(side: socket.socket) -> None:
    try:
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        side.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
    except OSError:
        pass  # it is over already
    side.close()
