"""What a module may import, where import-linter's contracts (pyproject.toml) cannot say it.

- Modules that run inside a user's interpreter may count on nothing that the user has not installed, and every
  Python from 3.9 on can read them.
- `import relive` stays light: it is in every training script.
"""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from relive.serving import AGENT_MODULES
from relive.serving.bundle import BUNDLED

PACKAGE = Path(__file__).resolve().parents[2] / "src/relive"
OLDEST_PYTHON = (3, 9)

# In the standard library of some Python from 3.9 to 3.14, but not of all.
NOT_EVERYWHERE = {
    *("tomllib", "annotationlib", "compression"),
    *("asynchat", "asyncore", "distutils", "imp", "smtpd"),
    *("aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "mailcap", "msilib", "nis", "nntplib"),
    *("ossaudiodev", "pipes", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib", "lib2to3"),
}
STANDARD_LIBRARY = sys.stdlib_module_names - NOT_EVERYWHERE

LIGHT_IMPORT = 60
HEAVY = {"sqlalchemy", "litestar", "alembic", "numpy", "rich", "urllib3", "yaml", "cryptography"}


def wrong_imports(path: Path, *, also_at_top: frozenset[str] = frozenset()) -> list[str]:
    """Name each import of an agent's module that a bare interpreter of the user's could not satisfy."""
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=OLDEST_PYTHON)
    wrong = []
    for node, is_late in imports(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            allowed = node.level == 1 and is_sibling(path, node)
            names = ["." * node.level + (node.module or "")]
        else:
            names = (
                [node.module or ""] if isinstance(node, ast.ImportFrom) else [it.name for it in node.names]
            )
            roots = {name.partition(".")[0] for name in names}
            allowed = roots <= STANDARD_LIBRARY | also_at_top or (is_late and "relive" not in roots)
        if not allowed:
            wrong.append(f"{path.name}:{node.lineno}: {', '.join(names)}")
    return wrong


def imports(tree: ast.Module) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Give each import that runs, and whether it waits for a function's call."""
    todo: list[tuple[ast.AST, bool]] = [(tree, False)]
    while todo:
        node, is_late = todo.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, is_late
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            todo += [(child, is_late) for child in node.orelse]
            continue
        is_late = is_late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        todo += [(child, is_late) for child in ast.iter_child_nodes(node)]


def siblings(path: Path) -> list[str]:
    """Name the modules beside it that a module imports."""
    found = [node for node, _ in imports(ast.parse(path.read_text(encoding="utf-8")))]
    return [
        name.partition(".")[0]
        for node in found
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for name in ([node.module] if node.module else [alias.name for alias in node.names])
    ]


def is_sibling(path: Path, node: ast.ImportFrom) -> bool:
    """Say whether a relative import stays among the modules beside it."""
    names = [node.module] if node.module else [alias.name for alias in node.names]
    return all((path.parent / f"{(name or '').partition('.')[0]}.py").is_file() for name in names)


def test_a_hook_needs_nothing_but_the_standard_library_and_its_siblings():
    hooks = sorted((PACKAGE / "capture/hooks").glob("**/*.py"))
    wrong = [line for path in hooks for line in wrong_imports(path)]
    assert hooks
    assert not wrong, "imports that a user's interpreter may not have:\n" + "\n".join(wrong)


@pytest.mark.parametrize("module", AGENT_MODULES)
def test_the_serving_agent_needs_nothing_but_the_standard_library_numpy_and_what_it_brings(module):
    path = PACKAGE / f"serving/{module}.py"
    assert wrong_imports(path, also_at_top=frozenset({*BUNDLED, "numpy"})) == []
    left_behind = [name for name in siblings(path) if name not in AGENT_MODULES]
    assert left_behind == [], f"{module} imports siblings that are not in AGENT_MODULES"


def test_the_linter_reads_agents_as_the_oldest_python_does():
    ruff = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text())["tool"]["ruff"]
    old = [pattern for pattern, version in ruff["per-file-target-version"].items() if version == "py39"]
    listed = {name for pattern in old for name in re.findall(r"serving/\{(.*)\}", pattern)}
    assert listed == {",".join(sorted(AGENT_MODULES))}
    assert "src/relive/capture/hooks/*.py" in old


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("import json, os.path\nfrom importlib import metadata", []),
        ("from .beside import x\nfrom . import beside", []),
        ("def f():\n    import numpy as np", []),
        ("if TYPE_CHECKING:\n    from torch import Tensor", []),
        ("import numpy", ["agent.py:1: numpy"]),
        ("try:\n    import torch\nexcept ImportError:\n    torch = None", ["agent.py:2: torch"]),
        ("import tomllib", ["agent.py:1: tomllib"]),
        ("from ..formats import spool", ["agent.py:1: ..formats"]),
        ("from .absent import x", ["agent.py:1: .absent"]),
        ("def f():\n    from relive.core import ids", ["agent.py:2: relive.core"]),
    ],
)
def test_the_rule_for_agents_finds_what_it_should(tmp_path, source, wrong):
    (tmp_path / "beside.py").touch()
    agent = tmp_path / "agent.py"
    agent.write_text(source)
    assert wrong_imports(agent) == wrong


def test_newer_syntax_is_refused_in_an_agent(tmp_path):
    agent = tmp_path / "agent.py"
    agent.write_text("match 1:\n    case 1:\n        pass\n")
    with pytest.raises(SyntaxError):
        wrong_imports(agent)


def test_import_relive_is_light():
    script = (
        "import sys, json; before = set(sys.modules); import relive; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    loaded = json.loads(done.stdout)
    assert "relive" in loaded
    assert len(loaded) < LIGHT_IMPORT, f"import relive loads {len(loaded)} modules: {', '.join(loaded)}"
    assert not HEAVY & {name.partition(".")[0] for name in loaded}
