"""What `import relive` costs a training script, beside an interpreter that imports nothing."""

import subprocess
import sys

from tests.bench.harness import Benchmark, Case, Facts

LIMIT_S = 120


def benchmark(size: str) -> Benchmark:
    """Compare starting Python with starting it and importing relive; the size changes nothing."""
    return Benchmark(
        "import relive",
        [
            Case("python alone", lambda: _start("")),
            Case("import relive", lambda: _start("import relive")),
            Case("import urllib3, for scale", lambda: _start("import urllib3")),
        ],
    )


def _start(statement: str) -> Facts:
    script = f"import sys; before = set(sys.modules)\n{statement}\nprint(len(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=LIMIT_S
    )
    return {"new modules": int(done.stdout)}
