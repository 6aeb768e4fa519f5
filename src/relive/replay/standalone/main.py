"""The archive as a program: `python FILE replay | verify | lay`."""

import argparse
import base64
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

from .contents import Archive, ArchiveError, CannotMake
from .ed25519 import verifies
from .judging import EXIT
from .replaying import repeat, verdict_of
from .world import lay_tree

_ABOUT = """\
A run of relive, with everything that it takes to make it again.
Exit codes of replay: 0 bit-exact or within tolerance, 3 diverged or not comparable,
1 it could not be made again.
"""


def main() -> int:
    """Do what the command line says, and give the exit code."""
    parser = argparse.ArgumentParser(
        prog="python FILE", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    replay = commands.add_parser("replay", help="run it again and judge the copy")
    replay.add_argument("--python", default="", help="interpreter to use; default: one that fits")
    replay.add_argument("--keep", type=Path, help="empty folder to work in, which is kept")
    replay.add_argument("--quiet", action="store_true", help="do not show what the command prints")
    replay.add_argument("--json", action="store_true", help="print the verdict as JSON")
    commands.add_parser("verify", help="check every byte and every signature")
    lay = commands.add_parser("lay", help="lay code and inputs out, and run nothing")
    lay.add_argument("folder", type=Path, help="is made")
    asked = parser.parse_args()
    try:
        archive = Archive(Path(sys.argv[0]))
        if asked.command == "replay":
            return _replay(archive, asked)
        if asked.command == "verify":
            return _verify(archive)
        lay_tree(archive, asked.folder)
    except (ArchiveError, CannotMake, OSError) as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    return 0


def signatures(archive: Archive) -> list[tuple[str, str, bool]]:
    """Check every signed statement: its name, the id of the key, and whether that signed it."""
    keys = {name.removeprefix("keys/").removesuffix(".pem"): name for name in archive.below("keys/")}
    found = []
    for name in archive.below("provenance/"):
        envelope = json.loads(archive.read(name))
        kind, payload = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"])
        message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
        for signature in envelope["signatures"]:
            key_id = signature["keyid"]
            raw = _raw_key(archive.read(keys[key_id])) if key_id in keys else b""
            found.append((name, key_id, verifies(raw, message, base64.b64decode(signature["sig"]))))
    return found


def _raw_key(pem: bytes) -> bytes:
    """Give the 32 bytes of a key in SubjectPublicKeyInfo, which stand at its end."""
    lines = [line for line in pem.splitlines() if not line.startswith(b"-")]
    return base64.b64decode(b"".join(lines))[-32:]


def _replay(archive: Archive, asked: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="relive-archive-") as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise CannotMake(f"{folder} is not empty")
        quiet = asked.quiet or asked.json
        repeated = repeat(archive, folder.resolve(), python=asked.python, quiet=quiet)
        verdict = verdict_of(archive, repeated)
    print(json.dumps(_finite(verdict)) if asked.json else _in_words(verdict))
    return EXIT[verdict["level"]]


def _finite(value: Any) -> Any:
    """Write what JSON has no number for as a word."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _in_words(verdict: dict[str, Any]) -> str:
    lines = [
        f"metric {it['key']}: recorded {it['recorded']}, replayed {it['replayed']}"
        for it in verdict.get("metrics", ())
    ]
    lines += [f"out {path}: {word}" for path, word in verdict.get("outs", {}).items()]
    if first := verdict.get("first_divergence"):
        lines.append(
            f"first difference: {first['stream']}, step {first['step']}, in {', '.join(first['names'])}"
        )
    lines += [f"note: {note}" for note in verdict["notes"]]
    return "\n".join([*lines, f"{verdict['level'].replace('_', ' ')}: {verdict['reason']}"])


def _verify(archive: Archive) -> int:
    wrong = archive.damaged()
    signed = [] if wrong else signatures(archive)
    for name, key_id, is_good in signed:
        print(f"{'✓' if is_good else '✗'} {name}, key {key_id[:16]}…")
    for sentence in wrong:
        print(f"✗ {sentence}")
    if wrong or not all(is_good for *_, is_good in signed):
        return 1
    print(f"✓ {len(archive.members)} members, all as they were; SHA-256 of archive.json: {archive.digest}")
    if not signed:
        print("  Nothing in it is signed: no model was registered of this run.")
    return 0
