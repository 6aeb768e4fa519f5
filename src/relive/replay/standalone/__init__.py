"""What goes into an archive so that it replays itself: nothing but the standard library, from Python 3.11 on.

These modules lie in the archive as the package `relive_archive`; they import one another by relative names
and nothing of relive. `relive replay FILE` uses the same code: there is one way of making an archive's world.
"""

from typing import Final

MODULES: Final = (
    "__init__.py",
    "contents.py",
    "ed25519.py",
    "environment.py",
    "judging.py",
    "main.py",
    "replaying.py",
    "repository.py",
    "spooled.py",
    "wheels.py",
    "world.py",
)
