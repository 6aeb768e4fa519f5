"""The commands that pages offer for copying exist."""

import re
from pathlib import Path

import click
import pytest

from relive.cli.main import cli
from relive.hub.web.assets import FOLDER

WEB = FOLDER.parent
_OFFERED = re.compile(r"""(?:["'>(]|\\n|Try: |or )relive ((?:[a-z]+(?: |(?=["'<\\])))+)""")


def offered(path: Path) -> list[str]:
    """Give what follows `relive` in the commands of a file."""
    return [found.strip() for found in _OFFERED.findall(path.read_text())]


FILES = [path for path in (*WEB.glob("templates/*.html"), *WEB.glob("views/*.py")) if offered(path)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_command_on_a_page_is_one(path):
    for words in offered(path):
        command: click.Command = cli
        context = click.Context(cli)
        for word in words.split():
            if not isinstance(command, click.Group):
                break  # what follows are its arguments
            found = command.get_command(context, word)
            assert found is not None, f"{path.name} offers `relive {words}`, but there is no {word}"
            command = found


def test_the_commands_of_the_first_page_are_found():
    assert {"init", "run"} <= set(offered(WEB / "templates" / "home.html"))
