"""What a hermetic run is not given: the recorder asks before it lets a call go on.

It keeps a program to what was declared, and is no border for one that wants to cross it.
Design: docs/design/hermetic.md.
Standard library only, as all that the recorder runs.
"""

import ctypes
import errno
import json
import os
import socket
import struct
from pathlib import Path
from typing import Any, Final, Self

from relive.capture.recorder.borders import UNDECLARED, Belongs, Borders, lies_in_any, system_folders

_INET: Final = (socket.AF_INET, socket.AF_INET6)
_KIND: Final = 0xF  # of a socket; above it are its flags
_LOOPBACK: Final = ("127.", "[::1]", "[::ffff:127.")
_LISTENS: Final = "0A"
_DNS_PORT: Final = 53
# What may be written although it is neither the tree's nor the run's own.
_DEVICES: Final = ("/dev", "/proc")
_AT_FDCWD: Final = -100
_STATX_BTIME: Final = 0x800
_STATX: Final = struct.Struct("=I76xqI164x")  # of 256 bytes the mask and the time of birth
_LIBC: Final = ctypes.CDLL(None)


class Refused(Exception):
    """A call that the run is not given.

    Attributes:
        name: Of the file or the address.
        number: The error that the program gets.
    """

    def __init__(self, name: str, number: int = errno.EACCES) -> None:
        super().__init__(name)
        self.name = name
        self.number = number


class Gate:
    """One run's policy.

    Args:
        borders: What a file is to the run.
        folders: That are the run's own besides, such as its home.
        network: Whether it may reach everything.
        addresses: "HOST:PORT" that it may reach all the same.
        all_files: Whether nothing but the network is kept from it: no file, and no socket of this machine.

    Attributes:
        allowed: Files that it was given once, and so for good.
        made: Files that the run made itself.
        emptied: Device and inode of files that were there, and that the run began anew.
    """

    def __init__(
        self,
        borders: Borders,
        folders: tuple[str, ...],
        addresses: frozenset[str],
        *,
        network: bool,
        all_files: bool = False,
    ) -> None:
        self._borders = borders
        self._folders = folders
        self._addresses = addresses
        self._network = network
        self._all_files = all_files
        self._has_names = any(address.endswith(f":{_DNS_PORT}") for address in addresses)
        self._foreign = _listening()
        self.allowed: set[str] = set()
        self.made: set[str] = set()
        self.emptied: set[tuple[int, int]] = set()

    @classmethod
    def parse(cls, policy_json: bytes) -> Self:
        """Take a policy that the runner has written."""
        policy: dict[str, Any] = json.loads(policy_json)
        return cls(
            Borders.from_document(policy["borders"]),
            tuple(policy["folders"]),
            frozenset(policy["addresses"]),
            network=policy["network"],
            all_files=policy.get("all_files", False),
        )

    def check_file(self, path: str, found: os.stat_result) -> None:
        """Let a file be read or started if it is declared, the environment's, the system's or the run's own.

        Raises:
            Refused: It is not.
        """
        if path in self.allowed:
            return
        if not self._all_files and self._of(path, found) in UNDECLARED:
            raise Refused(path)
        self.allowed.add(path)

    def _of(self, path: str, found: os.stat_result) -> Belongs:
        """Say what a file is to the run: another name, mode or date makes no other of one that was there."""
        if (found.st_dev, found.st_ino) in self.emptied:
            return Belongs.OWN
        born_ns = _born_ns(path)
        if born_ns is not None:
            return self._borders.of(path, born_ns, ())
        if lies_in_any(os.path.realpath(path), self._folders):
            return Belongs.OWN
        # A new one may come with an old date.
        is_code = self._borders.is_code(path)
        changed_ns = found.st_mtime_ns if is_code else found.st_ctime_ns
        return self._borders.of(path, changed_ns, self.made)

    def check_write(self, path: str) -> None:
        """Let a file be written in the tree and the run's own folders, as Landlock does, which tells nobody.

        Raises:
            Refused: It lies elsewhere; of system and environment Landlock alone tells, as programs only try.
        """
        if self._all_files:
            return
        real = os.path.realpath(path)
        writable = (*self._folders, str(self._borders.tree), *_DEVICES)
        passed_over = (*self._borders.environment, *system_folders())
        if not lies_in_any(real, map(os.path.realpath, writable)) and not lies_in_any(real, passed_over):
            raise Refused(path)

    def check_address(self, host: str, port: int) -> None:
        """Let the hub be reached, and what the run itself listens on at this machine.

        Raises:
            Refused: It is another.
        """
        if self._network or f"{host}:{port}" in self._addresses:
            return
        if not host.startswith(_LOOPBACK) or port in self._foreign:
            raise Refused(f"{host}:{port}", errno.ENETUNREACH)

    def check_socket(self, family: int, kind: int) -> None:
        """Let only streams be made, whose connection is looked at, and what asks for the hub's name.

        Raises:
            Refused: It is of another kind.
        """
        if self._network or family not in _INET or kind & _KIND == socket.SOCK_STREAM:
            return
        if kind & _KIND != socket.SOCK_DGRAM or not self._has_names:
            raise Refused("a socket for datagrams")

    def check_local(self, address: bytes) -> None:
        """Let sockets of the run's own folders be reached; another program could read for it what it likes.

        Raises:
            Refused: It is another's.
        """
        if self._network or self._all_files or address.startswith(b"\0"):
            return  # one without a path: Landlock tells whose it is
        path = os.path.normpath(os.fsdecode(address.partition(b"\0")[0]))
        if not os.path.exists(path):
            return
        if not lies_in_any(os.path.realpath(path), (*self._folders, str(self._borders.tree))):
            raise Refused(f"the socket {path}")


def _born_ns(path: str) -> int | None:
    """Give when a file came into being; None where the file system or the C library does not say."""
    buffer = ctypes.create_string_buffer(_STATX.size)
    try:
        failed = _LIBC.statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, buffer)
    except AttributeError:
        return None
    mask, seconds, nanoseconds = _STATX.unpack(buffer.raw)
    return None if failed or not mask & _STATX_BTIME else seconds * 10**9 + nanoseconds


def _listening() -> frozenset[int]:
    """Give the ports that others listen on before the run begins."""
    found = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        except OSError:
            continue  # without IPv6
        fields = (line.split() for line in lines)
        found |= {int(field[1].rpartition(":")[2], 16) for field in fields if field[3] == _LISTENS}
    return frozenset(found)
