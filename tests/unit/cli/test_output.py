"""Sentences without markup are printed without Rich, and are the same then."""

import subprocess
import sys

import pytest

from relive.cli.output import Printer, escape

_SENTENCES = (
    "✓ ./data is s@v1: 50,000 files.",
    "[bold]s@v1[/]  a message",
    "at 12:30: nothing :: here",
    escape("a [list] of :smile: and C:\\new\\"),
    escape("[red]x[/] \x1b[31m"),
    "a line that is longer than any terminal " * 10,
    "",
)


@pytest.mark.parametrize("sentence", _SENTENCES)
def test_plain_sentences_are_printed_as_rich_does(sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer()
    printer.print(sentence)
    quick = capsys.readouterr().out
    printer._console.print(sentence)
    assert quick == capsys.readouterr().out


def test_errors_go_to_the_other_stream(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(stderr=True).print("gone")
    assert capsys.readouterr() == ("", "gone\n")


def test_rich_is_imported_by_what_needs_it() -> None:
    code = (
        "import sys; from relive.cli.output import escape, out\n"
        "out.print(f'✓ {escape(\"./data\")} is s@v1: 3 files.'); assert 'rich' not in sys.modules\n"
        "out.print('[bold]s[/]'); assert 'rich' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "✓ ./data is s@v1: 3 files.\ns\n"), done.stderr
