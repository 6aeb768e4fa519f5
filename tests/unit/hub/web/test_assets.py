"""What pages load: vendored bytes as they were published, addresses by content, nothing that runs inline."""

import gzip
import hashlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from relive.hub.web.assets import FOLDER, asset_url, find_asset, tree_digest
from relive.hub.web.render import environment

ROOT = Path(__file__).resolve().parents[4]
TEMPLATES = sorted((FOLDER.parent / "templates").glob("*.html"))
VENDORS = [FOLDER / "vendor", ROOT / "tests" / "browser" / "vendor"]


@pytest.mark.parametrize("folder", VENDORS, ids=["pages", "tests"])
def test_vendored_files_are_those_that_are_named(folder):
    named = tomllib.loads((folder / "VENDOR.toml").read_text())
    digests = {name: digest for package in named.values() for name, digest in package["sha256"].items()}
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {"VENDOR.toml"}
    assert set(digests) == there
    for name, digest in digests.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    for package in named.values():
        assert package["version"]
        assert package["license"]
        assert any(name.endswith("LICENSE") for name in package["sha256"])


def test_the_whole_folder_is_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 1_500_000


def test_an_asset_is_found_by_its_name_and_packed():
    found = find_asset("css/base.css")
    assert found is not None
    assert found.media_type == "text/css"
    assert gzip.decompress(found.packed) == found.body == (FOLDER / "css/base.css").read_bytes()
    assert asset_url("css/base.css") == f"/static/{tree_digest()}/css/base.css"


@pytest.mark.parametrize(
    "name", ["", "nothing.js", "../assets.py", "css/../../assets.py", "vendor/VENDOR.toml", "/etc/passwd"]
)
def test_only_what_lies_there_by_name_is_given(name):
    assert find_asset(name) is None


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_runs_or_styles_anything_inline(template):
    text = template.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style\b", text)
    assert not re.search(r"\s(?:style|on[a-z]+)=[\"']", text)
    assert "javascript:" not in text
    assert not re.search(r"hx-on|hx-vals=.js|\bjs:", text)
    # Everything is escaped: nothing is declared safe by a template.
    assert not re.search(r"\|\s*safe\b|autoescape", text)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_template_can_be_read(template):
    assert environment().get_template(template.name).name == template.name


def test_no_script_or_style_of_ours_names_another_origin():
    ours = [
        path for path in FOLDER.rglob("*") if path.suffix in (".js", ".css") and "vendor" not in path.parts
    ]
    assert len(ours) >= 8
    for path in ours:
        text = path.read_text()
        assert not re.search(r"https?://(?!www\.w3\.org)", text), path
        assert not re.search(r"\beval\(|new Function|innerHTML|document\.write", text), path


def test_pages_load_no_templates_before_the_first_is_asked_for():
    """A hub must start quickly and stay small where nobody looks at it."""
    told = subprocess.run(
        [sys.executable, "-c", "import sys, relive.hub.web.pages; print('jinja2' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert told.stdout.strip() == "False"
