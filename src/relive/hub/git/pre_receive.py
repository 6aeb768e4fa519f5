"""The `pre-receive` hook: refuses refs that nobody may push, keeps what a ref is about to leave.

git runs it, with the standard library alone, when a push's objects are whole but not yet part of the
repository. It sees each ref on a line `OLD NEW REF`; ending with 1 refuses the whole push.
"""

import os
import subprocess
import sys

ARCHIVE = "refs/relive/archive/"  # as in relive.ports.repositories, which a hook cannot import
ABSENT = "0" * 40
# While the hook runs, new objects lie aside. What is archived was there before: a ref to it may be written.
QUARANTINE = ("GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")


def main() -> int:
    """Judge the refs on standard input."""
    updates = [line.rstrip("\n").split(" ", 2) for line in sys.stdin]
    refused = [ref for _, _, ref in updates if not ref.startswith(("refs/heads/", "refs/tags/"))]
    for ref in refused:
        say(f"{ref} is not yours to write; branches (refs/heads/) and tags (refs/tags/) are.")
    for ref in [ref for _, _, ref in updates if not is_utf8(ref)]:
        refused.append(ref)
        say(f"{ref!a} is not UTF-8; rename the branch or tag.")
    left = [(old, ref) for old, new, ref in updates if old != ABSENT and not continues(old, new)]
    protected = git("symbolic-ref", "--quiet", "HEAD").stdout.strip()
    if os.environ.get("RELIVE_PUSH_FORCE") != "1":
        for ref in [ref for _, ref in left if ref == protected]:
            refused.append(ref)
            actor = os.environ.get("RELIVE_PUSH_ACTOR", "you")
            say(f"{ref.split('/', 2)[2]} is protected: {actor} may add to its history, not rewrite it.")
            say("  try: git pull --rebase, then push again; or ask an admin of the hub")
    if refused:
        return 1
    return archive({old for old, _ in left})


def is_utf8(ref: str) -> bool:
    """Tell whether a name is UTF-8; Python reads other bytes as lone surrogates."""
    try:
        ref.encode()
    except UnicodeEncodeError:
        return False
    return True


def continues(old: str, new: str) -> bool:
    """Tell whether the new commit has the old one in its history."""
    return new.strip("0") != "" and git("merge-base", "--is-ancestor", old, new).returncode == 0


def archive(commits: set[str]) -> int:
    """Write a ref to each commit, so that nothing a pipeline ran on is ever lost."""
    if not commits:
        return 0
    outside = {name: value for name, value in os.environ.items() if name not in QUARANTINE}
    commands = "".join(f"update {ARCHIVE}{commit} {commit}\n" for commit in sorted(commits))
    done = git("update-ref", "--stdin", stdin=commands, env=outside)
    if done.returncode:
        say(f"the commits that this push leaves could not be kept: {done.stderr.strip()}")
    return done.returncode


def git(
    *args: str, stdin: str = "", env: "dict[str, str] | None" = None
) -> "subprocess.CompletedProcess[str]":
    """Run git in this repository."""
    return subprocess.run(["git", *args], input=stdin, capture_output=True, text=True, env=env)


def say(line: str) -> None:
    """Print a line that the pusher sees."""
    sys.stderr.write(f"relive: {line}\n")


if __name__ == "__main__":
    sys.exit(main())
