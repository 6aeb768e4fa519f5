"""List every design note in the documentation's navigation (a hook of MkDocs).

Notes come with the code they are about; none is forgotten because nobody thought of `mkdocs.yml`.
"""

from pathlib import Path
from typing import Any

SECTION = "Design notes"
FOLDER = "design"


def on_config(config: Any) -> Any:
    """Fill the empty section of the navigation with the notes, by title."""
    docs = Path(config["docs_dir"])
    notes = sorted((title(path), path.relative_to(docs).as_posix()) for path in (docs / FOLDER).glob("*.md"))
    for entry in config["nav"]:
        if SECTION in entry:
            entry[SECTION] = [{name: path} for name, path in notes]
    return config


def title(path: Path) -> str:
    """Give a note's first heading, without what follows a colon; else its file name."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            return line.removeprefix("# ").partition(":")[0].strip()
    return path.stem
