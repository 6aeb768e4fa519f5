"""What holds for every command: help with an example, JSON, exit codes, completion, errors one can use."""

import inspect
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from relive import __version__
from relive.cli.main import COMMANDS, cli, exit_code_of
from relive.cli.output import ago, duration, escape, number, plural, print_table, wants_json
from relive.errors import (
    CommandFailed,
    Conflict,
    HubRefused,
    HubUnknown,
    HubUnreachable,
    InvalidInput,
    NotFound,
    ReliveError,
)
from tests.support.live import LiveHub
from tests.unit.cli.conftest import Shell

# They print a script, a log, a document, or nothing at all.
WITHOUT_JSON = {
    *("up", "demo", "logs", "completion", "git-credential"),
    *("model provenance", "model sbom", "data croissant"),  # what they print is JSON already
}


def all_commands(group: click.Group = cli, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Give every command that does something, by its words."""
    context = click.Context(group)
    for name in [*group.list_commands(context), *([] if prefix else ["git-credential"])]:
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from all_commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


EVERY = dict(all_commands())


@pytest.mark.parametrize("words", sorted(set(EVERY) - {"git-credential"}))
def test_every_command_explains_itself_with_an_example(words: str) -> None:
    command = EVERY[words]
    text = inspect.cleandoc(command.help or "")
    examples = text.partition("\b\nExample")[2]
    assert f"relive {words}" in examples
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.help or option.is_flag or isinstance(option.type, click.Choice), option.name


def test_every_command_that_tells_something_tells_it_as_json_too() -> None:
    without = {words for words, command in EVERY.items() if all(p.name != "as_json" for p in command.params)}
    assert without == WITHOUT_JSON


def test_every_list_has_a_limit_or_is_short_by_nature() -> None:
    limited = {words for words, command in EVERY.items() if any(p.name == "limit" for p in command.params)}
    assert limited == {
        *("runs", "pipeline list", "pool jobs", "sql", "traces list", "webhook deliveries"),
        *("data list", "data log", "data du"),
    }


@pytest.mark.parametrize("words", sorted(EVERY))
def test_help_is_printed_and_nothing_else_done(shell: Shell, words: str) -> None:
    said = shell(*words.split(), "--help")
    assert said.out.startswith(f"Usage: relive {words}")
    assert said.err == ""
    assert not Path(os.environ["RELIVE_HOME"]).exists()


def test_the_command_alone_shows_what_there_is(shell: Shell) -> None:
    said = shell(code=None)
    text = said.out + said.err
    for name in set(COMMANDS) - {"git-credential"}:
        assert f"\n  {name} " in text
    assert "git-credential" not in text


def test_help_says_whole_sentences(shell: Shell) -> None:
    for words in ((), ("model",), ("pipeline",)):
        said = " ".join(shell(*words, "--help").out.partition("Commands:")[2].split())
        assert "..." not in said
    assert "Serve a model version; the traffic moves when it has passed its contract test." in " ".join(
        shell("--help").out.split()
    )


def test_the_version_is_said(shell: Shell) -> None:
    assert shell("--version").out == f"relive, version {__version__}\n"


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("pipline", "Did you mean `relive pipeline`?"),
        ("rnu", "Did you mean `relive run`?"),
        ("xyzzy", "--help` lists them"),
    ],
)
def test_a_word_that_is_no_command_gets_the_nearest(shell: Shell, typed: str, hint: str) -> None:
    said = shell(typed, code=2)
    assert f"There is no command '{typed}'." in said.err
    assert hint in said.err


@pytest.mark.parametrize(
    "args",
    [
        ("show",),
        ("runs", "--limit", "many"),
        ("runs", "--limit", "0"),
        ("pipeline", "list", "--limit", "-1"),
        ("pipeline", "list", "--all", "--project", "digits"),
        ("up", "--port", "0"),
        ("up", "--port", "99999"),
        ("runs", "--nope"),
        ("pool", "add", "x"),
        ("completion", "tcsh"),
    ],
)
def test_usage_errors_end_with_2_and_name_the_option(shell: Shell, args: tuple[str, ...]) -> None:
    said = shell(*args, code=2)
    assert "Usage: relive " in said.err
    assert said.out == ""


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(shell: Shell, shell_name: str) -> None:
    assert "_RELIVE_COMPLETE" in shell("completion", shell_name).out


def test_completion_completes(tmp_path: Path) -> None:
    """As bash asks for it: the real program, with the words typed so far."""
    env = os.environ | {"_RELIVE_COMPLETE": "bash_complete", "COMP_WORDS": "relive pipe", "COMP_CWORD": "1"}
    code = "import sys; sys.argv = ['relive']; from relive.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.split() == ["plain,pipeline"]


def test_no_hub_known_says_how_to_get_one(shell: Shell) -> None:
    said = shell("runs", code=5)
    assert said.err.splitlines() == [
        "✗ No hub is known on this machine.",
        "  try:      relive up    (or: relive login URL, for a hub elsewhere)",
    ]


def test_a_dead_hub_is_said_with_what_to_do(shell: Shell) -> None:
    shell.patch.setenv("RELIVE_HUB", "http://127.0.0.1:1")
    said = shell("runs", code=5)
    assert said.err.startswith("✗ The hub at http://127.0.0.1:1 does not answer: connection refused.")
    assert "try:      relive up" in said.err
    said = shell("runs", "--json", code=5)
    assert json.loads(said.err)["error"] == "hub_unreachable"
    assert json.loads(said.err)["facts"] == {"url": "http://127.0.0.1:1", "reason": "connection refused"}


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "http://", "127.0.0.1:7878"])
def test_an_address_that_is_none_is_refused_before_anything_is_sent(shell: Shell, url: str) -> None:
    shell.patch.setenv("RELIVE_HUB", url)
    said = shell("runs", code=2)
    assert "http://HOST:PORT or https://HOST" in said.err


@pytest.mark.parametrize("url", ["http://no-such-host.invalid:1", "https://127.0.0.1:1"])
def test_a_name_that_leads_nowhere_is_a_hub_that_does_not_answer(shell: Shell, url: str) -> None:
    shell.patch.setenv("RELIVE_HUB", url)
    assert "does not answer" in shell("runs", code=5).err


def test_something_else_at_the_address_is_said(shell: Shell) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n<html></html>")

        thread = threading.Thread(target=answer)
        thread.start()
        shell.patch.setenv("RELIVE_HUB", f"http://127.0.0.1:{listener.getsockname()[1]}")
        said = shell("runs", code=1)
        thread.join()
    assert "answered with something else" in said.err


def test_a_bad_token_says_how_to_log_in(shell: Shell, live: LiveHub) -> None:
    shell.patch.setenv("RELIVE_HUB", live.url)
    for token in ("", "rubbish", "rlv_0123456789abcdef_x"):
        shell.patch.setenv("RELIVE_TOKEN", token)
        said = shell("runs", code=1)
        assert said.err.count("relive login URL") == 1
        assert token not in said.err or not token


def test_what_the_hub_refuses_is_told_once_with_its_hint(relive: Shell) -> None:
    said = relive("pool", "remove", "none", code=1)
    assert said.err == "✗ There is no pool 'none'.\n  try:      relive pool list\n"
    said = relive("pool", "remove", "none", "--json", code=1)
    assert json.loads(said.err)["error"] == "not_found"
    assert json.loads(said.err)["facts"]["kind"] == "pool"
    assert said.out == ""


def test_bad_input_ends_with_2_whoever_finds_it(relive: Shell) -> None:
    assert "NAME@NUMBER" in relive("model", "verify", "@", code=2).err
    assert "digits:3" in relive("pipeline", "show", "zzz", code=2).err
    assert "'nonsense'" in relive("runs", "--order", "nonsense", code=2).err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HubUnreachable("http://x", "y"), 5),
        (HubUnknown(), 5),
        (InvalidInput("a", "b", "c"), 2),
        (HubRefused(400, "invalid_input", "x", {}), 2),
        (HubRefused(404, "not_found", "x", {}), 1),
        (HubRefused(500, "internal", "x", {}), 1),
        (CommandFailed("x", 3, "y"), 3),
        (CommandFailed("x", -9, "killed"), 1),
        (CommandFailed("x", 0, "y"), 1),
        (Conflict("a", "b"), 1),
        (NotFound("a", "b"), 1),
    ],
    ids=str,
)
def test_exit_codes(error: ReliveError, code: int) -> None:
    assert exit_code_of(error) == code


def test_a_reader_that_goes_away_ends_it_quietly(live: LiveHub) -> None:
    env = os.environ | {"RELIVE_HUB": live.url, "RELIVE_TOKEN": live.admin}
    command = f"{sys.executable} -m relive.cli token list --json | head -c 1"
    done = subprocess.run(
        ["bash", "-c", command], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[", "")


def test_control_characters_and_markup_are_printed_as_they_are() -> None:
    assert escape("a\x1b[31mred\x07\rb") == "a�[31mred��b"
    assert escape("train[lr=0.1] [bold]x[/]") == "train\\[lr=0.1] \\[bold]x\\[/]"
    assert escape("tab\tline\n") == "tab\tline\n"


def test_a_table_is_a_line_a_row_however_long(capfd: pytest.CaptureFixture[str]) -> None:
    print_table(
        ("A", "LONG"), [("1", "x" * 500), ("[bold]22[/]", "two\nlines"), ("ünï中", None)], empty="none"
    )
    lines = capfd.readouterr().out.splitlines()
    assert lines == [
        "A            LONG",
        "1            " + "x" * 500,
        "[bold]22[/]  two lines",
        "ünï中",
    ]


def test_an_empty_table_says_so_or_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    print_table(("A",), [], empty="No [things] yet.")
    assert capfd.readouterr().out == "No [things] yet.\n"
    print_table(("A",), [], empty="")
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["relive", "runs", "--json"], True),
        (["relive", "runs"], False),
        (["relive", "run", "--", "cmd", "--json"], False),
        (["relive", "run", "--json", "--", "cmd"], True),
    ],
)
def test_json_is_asked_for_before_the_others_command(argv: list[str], wanted: bool) -> None:
    assert wants_json(argv) is wanted


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s ago"),
        (59.4, "59 s ago"),
        (60, "1 min ago"),
        (3599, "60 min ago"),
        (7200, "2 h ago"),
        (200_000, "2 d ago"),
        (-5, "0 s ago"),
    ],
)
def test_how_long_ago(seconds: float, said: str) -> None:
    assert ago(1000.0, 1000.0 + seconds) == said
    assert ago(None, 1.0) == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, ""), (0.04, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (3725, "1 h 2 min")],
)
def test_how_long(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3.0, "3"),
        (0.123456789, "0.12346"),
        (1e20, "1e+20"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (-2.0, "-2"),
    ],
)
def test_numbers(value: float, said: str) -> None:
    assert number(value) == said


def test_things_are_counted_in_words() -> None:
    assert [plural(n, "file") for n in (0, 1, 2, 1234567)] == [
        "0 files",
        "1 file",
        "2 files",
        "1,234,567 files",
    ]
