"""pip's configuration, read as pip reads it and told to uv in uv's words."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from relive.runner.environment.pip_config import index_credentials, pip_options, uv_variables
from relive.runner.environment.uv import without_logins
from tests.conftest import require


@pytest.fixture
def home(tmp_path):
    """An environment in which only files of the test are found, apart from the machine's own."""
    return {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "xdg")}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_lists_are_read_over_several_lines_and_with_spaces(tmp_path, home):
    write(
        tmp_path / ".config/pip/pip.conf",
        "[global]\nfind_links =\n    /a/one\n    /b/two /c/three\nextra-index-url = https://x/simple\n",
    )
    options = pip_options(home)
    assert options["find-links"] == ["/a/one", "/b/two", "/c/three"]
    assert options["extra-index-url"] == ["https://x/simple"]


def test_later_files_sections_and_variables_win(tmp_path, home):
    write(tmp_path / "xdg/pip/pip.conf", "[global]\nindex-url = https://shared\ncert = /shared.pem\n")
    write(tmp_path / ".pip/pip.conf", "[global]\nindex-url = https://old-user\n")
    write(
        tmp_path / ".config/pip/pip.conf",
        "[install]\nindex-url = https://install\n[global]\nindex-url = https://user\n",
    )
    write(tmp_path / "venv/pip.conf", "[global]\nproxy = http://proxy\n")
    options = pip_options({**home, "VIRTUAL_ENV": str(tmp_path / "venv")})
    assert options["index-url"] == ["https://install"]
    assert options["proxy"] == ["http://proxy"]
    options = pip_options({**home, "PIP_INDEX_URL": "https://variable"})
    assert options["index-url"] == ["https://variable"]


def test_a_named_file_takes_the_place_of_the_users(tmp_path, home):
    write(tmp_path / ".config/pip/pip.conf", "[global]\nfind-links = /user\n")
    write(tmp_path / "named.conf", "[global]\nindex-url = https://named\n")
    options = pip_options({**home, "PIP_CONFIG_FILE": str(tmp_path / "named.conf")})
    assert options["index-url"] == ["https://named"]
    assert options.get("find-links") != ["/user"]


def test_no_file_at_all_is_read_if_that_is_asked_for(tmp_path, home):
    write(tmp_path / ".config/pip/pip.conf", "[global]\nindex-url = https://user\n")
    assert pip_options({**home, "PIP_CONFIG_FILE": os.devnull}) == {}


@pytest.mark.parametrize("text", ["no section at all", "[global\nbroken", "\x00\xff"])
def test_a_broken_file_is_no_configuration(tmp_path, home, text):
    write(tmp_path / "named.conf", text)
    pip_options({**home, "PIP_CONFIG_FILE": str(tmp_path / "named.conf")})


def test_pip_itself_says_the_same(tmp_path, home):
    """The judge of pip's configuration is pip."""
    write(
        tmp_path / ".config/pip/pip.conf", "[global]\nindex-url = https://user\n[install]\nproxy = http://p\n"
    )
    variables = {**home, "PATH": os.environ["PATH"], "PIP_CERT": "/some.pem"}
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], env=variables, capture_output=True, text=True
    )
    require(done.returncode == 0, "this environment has no pip (python -m ensurepip)")
    said = dict(line.replace("'", "").split("=", 1) for line in done.stdout.splitlines())
    options = pip_options(variables)
    assert options["index-url"] == [said["global.index-url"]]
    assert options["proxy"] == [said["install.proxy"]]
    assert options["cert"] == [said[":env:.cert"]]


def test_uv_is_told_everything_it_has_a_word_for(home):
    variables = {
        **home,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": "/a /b",
        "PIP_INDEX_URL": "https://main/simple",
        "PIP_EXTRA_INDEX_URL": "https://x/simple https://y/simple",
        "PIP_CERT": "/ca.pem",
        "PIP_CLIENT_CERT": "/me.pem",
        "PIP_TRUSTED_HOST": "x y",
        "PIP_PROXY": "http://proxy",
        "PIP_NO_INDEX": "yes",
    }
    assert uv_variables(variables) == {
        "UV_FIND_LINKS": "/a,/b",
        "UV_DEFAULT_INDEX": "https://main/simple",
        "UV_INDEX": "https://x/simple https://y/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_INSECURE_HOST": "x y",
        "SSL_CERT_FILE": "/ca.pem",
        "SSL_CLIENT_CERT": "/me.pem",
        "ALL_PROXY": "http://proxy",
        "UV_NO_INDEX": "1",
    }


def test_what_is_set_for_uv_stays(home):
    variables = {**home, "PIP_CONFIG_FILE": os.devnull, "PIP_CERT": "/pip.pem", "SSL_CERT_FILE": "/mine.pem"}
    assert uv_variables(variables) == {}


def test_nothing_configured_is_nothing_told(home):
    assert uv_variables({**home, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "0"}) == {}


def test_logins_of_indexes_are_found_by_host():
    variables = {
        "UV_INDEX": "https://me:word@one.example/simple named=https://you:two@two.example/simple",
        "UV_DEFAULT_INDEX": "https://three.example/simple",
        "OTHER_INDEX": "https://no:no@four.example",
    }
    assert index_credentials(variables.items()) == {"one.example": "me:word", "two.example": "you:two"}


def test_no_login_is_shown():
    text = "failed: https://me:word@one.example/simple and git+ssh://git@two.example"
    assert without_logins(text) == "failed: https://…@one.example/simple and git+ssh://…@two.example"
