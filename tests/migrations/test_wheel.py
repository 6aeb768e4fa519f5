"""The migrations travel with the package: an installed relive can bring a database up."""

import subprocess
import sys
import zipfile
from pathlib import Path

from relive.stores.sql.schema import MIGRATIONS

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0


def test_the_wheel_holds_every_migration(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    source = MIGRATIONS.parents[3]
    needed = {str(path.relative_to(source)) for path in MIGRATIONS.rglob("*.py")}
    assert "relive/stores/sql/migrations/env.py" in needed
    assert needed <= packed
