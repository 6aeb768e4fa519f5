"""The documentation says what the code does: no page, name or link can drift unnoticed.

Also what no tracked file may hold: paths of somebody's machine, host names of package registries, and
addresses in lock files: those must work against any index.
"""

import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

import relive.errors
from relive.errors import ReliveError
from relive.settings import SETTINGS
from tests.conftest import require
from tools import reference

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
BUILD_LIMIT_S = 240

# Written in parts, because this file is tracked as well.
REGISTRIES = (
    *("pypi" + ".org", "pythonhosted" + ".org", "registry.npmjs" + ".org", "anaconda" + ".org"),
    *("deb.debian" + ".org", "proxy.golang" + ".org", "crates" + ".io", "download.pytorch" + ".org"),
)
MACHINE_PATH = re.compile(r"(?<![\w.*}])/(?:work|tmp)/[\w.]|/home/\w+/|/Users/\w+/|/root/\.\w")
CODE_BLOCK = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
ADDRESS = re.compile(r"https?://")
LOCK_FILES = ("requirements/", "uv.lock", "pylock.toml", "requirements.txt", "package-lock.json")


def tracked_texts() -> list[tuple[str, str]]:
    """Give path and text of every file that git tracks and that is text."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=60)
    texts = []
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if name and path.is_file() and not path.is_symlink() and b"\0" not in (content := path.read_bytes()):
            texts.append((name, content.decode("utf-8", "replace")))
    return texts


def lines_with(pattern: re.Pattern[str], texts: list[tuple[str, str]]) -> list[str]:
    """Name file and line of each match."""
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def named_commands(text: str) -> set[str]:
    """Give the words after `relive` in the code of a page, inline or in blocks."""
    inline = re.findall(r"`relive ([a-z]+)", text)
    blocks = "".join(CODE_BLOCK.findall(text))
    return {*inline, *re.findall(r"^\s*(?:\$ )?relive ([a-z]+)", blocks, re.MULTILINE)}


@pytest.fixture(scope="module")
def texts() -> list[tuple[str, str]]:
    """Every tracked text, read once for this module."""
    return tracked_texts()


@pytest.mark.parametrize("name", ["cli.md", "settings.md", "errors.md", "mlflow-compatibility.md"])
def test_a_generated_page_says_what_the_code_says(name):
    written = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert written == reference.pages()[name], f"docs/reference/{name} is not up to date: make docs-reference"


@pytest.fixture(scope="module")
def commands() -> dict[str, click.Command]:
    """Every visible command by its path, such as "relive model list"."""
    root = reference.find_command_line()
    require(root is not None, "relive.cli.main does not exist yet")
    assert root is not None
    contexts = reference.walk(root, click.Context(root, info_name="relive"))
    return {it.command_path: it.command for it in contexts}


def test_every_command_is_documented(commands):
    page = (DOCS / "reference/cli.md").read_text(encoding="utf-8")
    assert len(commands) > 1
    assert [path for path in commands if f"## `{path}`\n" not in page] == []


def test_every_command_says_what_it_does(commands):
    assert [path for path, command in commands.items() if not (command.help or "").strip()] == []


def test_every_command_that_the_docs_name_exists(commands, texts):
    known = {path.split()[1] for path in commands if " " in path}
    pages = [(name, text) for name, text in texts if name.startswith("docs/") or "/" not in name]
    unknown = [
        f"{name}: {word}" for name, text in pages for word in named_commands(text) - known if ".md" in name
    ]
    assert unknown == []


def test_every_setting_is_documented():
    page = (DOCS / "reference/settings.md").read_text(encoding="utf-8")
    assert [it.name for it in SETTINGS if f"`{it.name}`" not in page] == []
    assert [it.name for it in SETTINGS if not it.help.endswith(".")] == []


def test_every_error_is_documented_and_has_a_code_of_its_own():
    page = (DOCS / "reference/errors.md").read_text(encoding="utf-8")
    errors = [
        it for it in vars(relive.errors).values() if inspect.isclass(it) and issubclass(it, ReliveError)
    ]
    codes = [it.code for it in errors]
    assert [it.__name__ for it in errors if f"| `{it.__name__}` |" not in page] == []
    assert sorted(codes) == sorted(set(codes))


def test_every_variable_in_the_docs_is_a_setting(texts):
    # What a command finds in its environment: named by the runner and by the hooks.
    sources = [ROOT / "src/relive/runner/variables.py", *(ROOT / "src/relive/capture/hooks").glob("*.py")]
    given = [name for path in sources for name in re.findall(r'"(RELIVE_[A-Z_]+)"', path.read_text())]
    known = {it.name for it in SETTINGS} | {"RELIVE_CI", "RELIVE_SLOW"} | set(given)
    mentioned = {
        (name, word)
        for name, text in texts
        if name.startswith("docs/") or name == "README.md"
        for word in re.findall(r"\bRELIVE_[A-Z_]+\b", text)
    }
    assert sorted(f"{name}: {word}" for name, word in mentioned if word not in known) == []


def test_the_documentation_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "--quiet",
            "--site-dir",
            str(tmp_path / "site"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    outside = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"?(https?://[^\s\">]+)", page)
    assert outside == [], "a page loads from another machine"


def test_every_design_note_is_in_the_navigation(tmp_path):
    from tools.docs_nav import on_config

    (tmp_path / "design").mkdir()
    (tmp_path / "design/locks.md").write_text("# Locks: who waits\n\ntext\n")
    (tmp_path / "design/bare.md").write_text("no heading\n")
    config = {"docs_dir": str(tmp_path), "nav": [{"Home": "index.md"}, {"Design notes": []}]}
    assert on_config(config)["nav"][1] == {
        "Design notes": [{"Locks": "design/locks.md"}, {"bare": "design/bare.md"}]
    }


def test_every_direct_dependency_says_what_it_saves():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [*project["project"]["optional-dependencies"].values(), *project["dependency-groups"].values()]
    wanted = {re.split(r"[<>=~! ;]", it)[0] for group in groups for it in group}
    wanted |= {re.split(r"[<>=~! ;]", it)[0] for it in project["project"]["dependencies"]}
    page = (DOCS / "design/dependencies.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE))
    assert sorted(it for it in wanted - listed if not it.startswith("relive[")) == []
    assert sorted(listed - wanted - {"hatchling", "editables"}) == []


def test_no_file_names_a_path_of_somebodys_machine(texts):
    assert lines_with(MACHINE_PATH, texts) == []


def test_no_file_names_a_package_registry(texts):
    assert lines_with(re.compile("|".join(map(re.escape, REGISTRIES))), texts) == []


def test_lock_files_hold_no_address(texts):
    locks = [
        (name, text) for name, text in texts if name.startswith(LOCK_FILES) or Path(name).name in LOCK_FILES
    ]
    assert locks
    assert lines_with(ADDRESS, locks) == []


def test_named_commands_are_found_in_code_and_not_in_prose():
    page = (
        "relive is\nsmall: `relive run -- x`\n```\nrelive up\n$ relive open\n# relive not\n```\nrelive no\n"
    )
    assert named_commands(page) == {"run", "up", "open"}


@pytest.mark.parametrize(
    ("line", "is_path"),
    [
        ("see /wo" + "rk/main/x", True),
        ("log in /t" + "mp/abc", True),
        ("--tmpfs /tmp --chdir /job", False),
        ("under /ho" + "me/ann/x", True),
        ("`src/relive/work/x`", False),
        ("a network/tmp/x", False),
    ],
)
def test_the_rule_for_paths_finds_what_it_should(line, is_path):
    assert bool(MACHINE_PATH.search(line)) is is_path
