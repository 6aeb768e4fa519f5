"""A hub that sees the mounts of another process: `python inside.py PID up …`; see tests.contract.disks."""

import ctypes
import os
import sys

from relive.cli.main import main


def enter(pid: str) -> None:
    """Join the mount namespace of a process, and without root the user namespace that owns it."""
    libc = ctypes.CDLL(None, use_errno=True)
    for kind in ("mnt",) if os.geteuid() == 0 else ("user", "mnt"):
        folder = os.getcwd()
        namespace = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
        if libc.setns(namespace, 0) != 0:
            raise OSError(ctypes.get_errno(), f"cannot join the {kind} namespace of process {pid}")
        os.close(namespace)
        os.chdir(folder)


if __name__ == "__main__":
    enter(sys.argv[1])
    sys.argv[1:] = sys.argv[2:]
    main()
