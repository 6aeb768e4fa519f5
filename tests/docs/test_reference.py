"""The generator of the reference pages, on a small command line and a small set of errors."""

from dataclasses import dataclass
from types import ModuleType

import click
import pytest

from relive.errors import ReliveError
from relive.settings import Setting
from tools import reference


@click.group()
def main() -> None:
    """Push code, get a model."""


@main.group()
def model() -> None:
    """Registered models."""


@model.command("list")
@click.option("--limit", type=int, help="How many | at most.")
@click.argument("name", required=False)
def list_models(limit: int, name: str) -> None:
    """List models.

    \b
    relive model list
    relive model list digits
    """


@main.command(hidden=True)
def secret() -> None:
    """Not for people."""


@pytest.fixture
def page() -> str:
    return reference.cli_page(main)


def test_every_visible_command_has_its_section(page):
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings == ["## `relive`", "## `relive model`", "## `relive model list`"]


def test_a_command_shows_usage_example_and_options(page):
    assert "```\nrelive model list [OPTIONS] [NAME]\n```" in page
    assert "```\nrelive model list\nrelive model list digits\n```" in page
    assert "| `--limit INTEGER` | How many \\| at most. |" in page


def test_the_help_option_is_not_repeated_everywhere(page):
    assert "--help" not in page


def test_no_command_line_is_said(page):
    assert "no command line yet" in reference.cli_page(None)


def test_a_setting_shows_its_default():
    page = reference.settings_page((Setting("RELIVE_A", "1", "Says a."), Setting("RELIVE_B", "", "Says b.")))
    assert "| `RELIVE_A` | `1` | Says a. |\n| `RELIVE_B` |  | Says b. |\n" in page


def test_an_error_shows_its_code_parents_and_facts():
    @dataclass(eq=False)
    class Lost(ReliveError):
        """Something was lost.

        More about it.
        """

        code = "lost"
        where: str

    class LostForever(Lost):
        """It will not come back."""

    module = ModuleType("errors")
    for error in (Lost, LostForever):
        error.__module__ = module.__name__
        setattr(module, error.__name__, error)
    page = reference.errors_page(module)
    assert "| `Lost` |  | `lost` | Something was lost. | `where` |\n" in page
    assert "| `LostForever` | `Lost` | `lost` | It will not come back. | `where` |\n" in page


def test_a_call_of_mlflow_shows_what_its_handler_says():
    def give(*_: object) -> dict[str, object]:
        """Give | it."""
        return {}

    page = reference.mlflow_page({("GET", "runs/get"): (None, give)})
    assert "| `GET runs/get` | Give \\| it. |\n" in page


def test_only_pages_that_differ_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "pages", lambda: {"a.md": "A\n", "b.md": "B\n"})
    (tmp_path / "a.md").write_text("A\n")
    assert reference.write(tmp_path) == [tmp_path / "b.md"]
    assert (tmp_path / "b.md").read_text() == "B\n"
    assert reference.write(tmp_path) == []
