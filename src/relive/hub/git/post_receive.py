"""The `post-receive` hook: tells the hub which refs moved, and prints what the hub says until it is done.

git runs it, with the standard library alone and the hub's socket as its argument, when the refs have moved.
Nothing that goes wrong here can undo the push, so it always ends with 0: the hub finds what it missed by
comparing refs.
"""

import json
import os
import socket
import sys

DONE = "\0"
STORED = (
    "relive: your push is stored, but the hub does not answer just now.",
    "relive: its pipeline starts by itself when the hub is back.",
)
LEFT = (
    "relive: the hub went away; the push is stored, and its pipeline goes on when the hub is back.",
    "relive: see it with: relive pipeline list",
)


def main(address: str) -> None:
    """Report the push and print the hub's lines as they come."""
    try:
        with connect(address) as hub:
            hub.sendall(json.dumps(push()).encode() + b"\n")
            with hub.makefile("r", encoding="utf-8", errors="replace", newline="\n") as lines:
                for line in lines:
                    if line.rstrip("\n") == DONE:
                        return
                    say(line.rstrip("\n"))
            say(*LEFT)
    except OSError:
        say(*STORED)


def push() -> "dict[str, object]":
    """Describe the push, from what git gives a hook."""
    count = int(os.environ.get("GIT_PUSH_OPTION_COUNT", "0"))
    updates = [line.rstrip("\n").split(" ", 2) for line in sys.stdin]
    return {
        "id": os.environ.get("RELIVE_PUSH_ID", ""),
        "project": os.path.basename(os.getcwd()).removesuffix(".git"),
        "actor": os.environ.get("RELIVE_PUSH_ACTOR", ""),
        "updates": [{"ref": ref, "old": old, "new": new} for old, new, ref in updates],
        "options": [option(index) for index in range(count)],
    }


def option(index: int) -> str:
    """Give a push option, with what is not UTF-8 replaced."""
    return os.environb.get(f"GIT_PUSH_OPTION_{index}".encode(), b"").decode(errors="replace")


def connect(address: str) -> socket.socket:
    """Connect to the hub's socket, by a short way if its path is longer than an address can be."""
    folder = os.open(os.path.dirname(address), os.O_RDONLY)
    hub = socket.socket(socket.AF_UNIX)
    try:
        hub.connect(f"/proc/self/fd/{folder}/{os.path.basename(address)}")
    except OSError:
        hub.close()
        raise
    finally:
        os.close(folder)
    return hub


def say(*lines: str) -> None:
    """Print lines that the pusher sees at once."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
