"""Two runs of one small training that differ in many inputs, of which a few are planted causes."""

from dataclasses import dataclass
from pathlib import Path

from tests.support.wheels import make_wheel

TRAIN = """
import argparse, csv, json, pathlib
import coefs, padding
from features import scale
import params

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
parser.add_argument("--verbose", default="no")
asked = parser.parse_args()
rows = [(float(x), int(y)) for x, y in csv.reader(open("data/train.csv"))]
pathlib.Path("data/extra.csv").read_text()
weight = 0.0
for _ in range(asked.epochs):
    for x, y in rows:
        weight += params.read("lr") * (y - weight * scale(x)) * coefs.FACTOR
json.dump({"weight": weight, "error": sum(abs(y - weight * scale(x)) for x, y in rows)}, open("m.json", "w"))
"""
PARAMS = """
import json

def read(name):
    return json.load(open("params.json"))[name]
"""
SCALE = "def scale(x):\n    return x * 0.5\n"
SAME_SCALE = "HALF = 0.5\n\n\ndef scale(value):\n    return HALF * value\n"
ROWS = "".join(f"{x},{int(x % 3 == 0)}\n" for x in range(1, 9))


@dataclass(frozen=True)
class Project:
    """A folder with a project in it, in the state before or after all changes.

    Attributes:
        wheels: Folder of the packages it needs.
    """

    folder: Path
    wheels: Path

    def write(self, files: dict[str, str]) -> None:
        """Write files of the project."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def before(self) -> tuple[str, ...]:
        """Lay the first state out; give what is typed after `relive run`."""
        for name in ("coefs", "padding", "tools"):
            body = "FACTOR = 1.0\n" if name == "coefs" else ""
            make_wheel(self.wheels, name, "1.0", body=body)
            make_wheel(self.wheels, name, "2.0", body=body.replace("1.0", "1.0001"))
        self.write(
            {
                ".gitignore": "m.json\n",
                "train.py": TRAIN,
                "params.py": PARAMS,
                "features.py": SCALE,
                "notes.md": "first\n",
                "data/train.csv": ROWS,
                "data/extra.csv": "1\n",
                "params.json": '{"lr": 0.1, "title": "a", "seed": 1}',
                "requirements.txt": self._requirements("1.0"),
            }
        )
        return self._command("2", "no")

    def after(self) -> tuple[str, ...]:
        """Lay the second state out; give what is typed after `relive run`.

        Causes are a label of data/train.csv, lr of params.json and the package coefs.
        """
        self.write(
            {
                "train.py": "# a comment\n" + TRAIN,
                "features.py": SAME_SCALE,
                "notes.md": "second\n",
                "data/train.csv": ROWS.replace("4,0", "4,1"),
                "data/extra.csv": "2\n",
                "params.json": '{"lr": 0.07, "title": "b", "seed": 2}',
                "requirements.txt": self._requirements("2.0"),
            }
        )
        return self._command("2", "yes")

    def _requirements(self, version: str) -> str:
        return f"coefs=={version}\npadding=={version}\ntools=={version}\n"

    def _command(self, epochs: str, verbose: str) -> tuple[str, ...]:
        options = ("--env", "requirements.txt", "--dep", "data", "--metrics", "m.json", "--json")
        return (*options, "--", "python", "train.py", "--epochs", epochs, "--verbose", verbose)
