"""Commands in a row: one outcome, with the reason a person wants to read."""

import threading

import pytest

from relive.client.calls.reports import ReportClient
from relive.client.transport import Transport
from relive.core.run import FailureReason, RunStatus
from relive.errors import Superseded
from relive.runner import commands as module
from relive.runner.commands import CommandPlan, Outcome, run_commands
from relive.runner.lease import Lease, Over
from relive.runner.masking import Mask
from relive.runner.output import OutputLog, Sink
from tests.support.fake_hub import wait_for

PATH = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def lease():
    """A claim that nobody renews: none of these tests takes as long as it lasts."""
    return Lease(ReportClient(Transport("http://127.0.0.1:9"), "jobs", "0" * 32, 1))


@pytest.fixture
def sink(tmp_path):
    log = OutputLog(tmp_path / "log")
    yield Sink(log, Mask(["hush-hush"]))
    log.close()


@pytest.fixture
def run(tmp_path, sink, lease):
    def outcome(*lines: str | tuple[str, ...], **fields) -> Outcome:
        plan = CommandPlan(
            commands=lines, workdir=tmp_path, environment=fields.pop("environment", PATH), **fields
        )
        return run_commands(plan, sink, lease)

    return outcome


def printed(sink: Sink) -> str:
    return sink.log.close().read_text()


def test_all_of_them_are_one_outcome(run, sink):
    outcome = run("echo a", "sleep 0.2; echo b")
    assert (outcome.status, outcome.exit_code, outcome.failure) == (RunStatus.FINISHED, 0, None)
    assert outcome.use.wall_s >= 0.2
    assert printed(sink) == "$ echo a\na\n$ sleep 0.2; echo b\nb\n"


def test_no_commands_are_no_failure(run):
    assert run().status is RunStatus.FINISHED


def test_arguments_are_not_looked_at_by_a_shell(run, sink):
    run(("echo", "$HOME", "a  b", "*"), announce=False)
    assert printed(sink) == "$HOME a  b *\n"


def test_a_command_line_with_a_secret_is_masked_as_well(run, sink):
    run("echo hush-hush")
    assert printed(sink) == "$ echo ***\n***\n"


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        ("exit 3", 3, "exit 3 ended with exit code 3"),
        ("echo why >&2; exit 1", 1, "echo why >&2; exit 1 ended with exit code 1: why"),
        ("false | true", 1, "false | true ended with exit code 1"),
        ("false; echo never", 1, "false; echo never ended with exit code 1"),
        ("bash -c 'kill -ABRT $$'; exit $?", 134, "was ended by signal 6 (Aborted)"),
        ("kill -TERM $$", 143, "was ended by signal 15 (Terminated)"),
        ("exit 255", 255, "ended with exit code 255"),
    ],
)
def test_each_end_has_its_sentence(run, line, code, reason):
    outcome = run(line, "touch never")
    assert outcome.status is RunStatus.FAILED
    assert outcome.failure is FailureReason.FAILURE
    assert outcome.exit_code == code
    assert reason in outcome.reason


def test_one_limit_is_for_all_of_them(run, tmp_path):
    outcome = run("sleep 0.3", "sleep 1000", timeout_s=0.6)
    assert outcome.failure is FailureReason.TIMEOUT
    assert outcome.reason == "sleep 1000 did not end within 0.6 s and was ended"


def test_a_shell_without_bash_still_stops_at_the_first_failure(run, sink, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert run("false; echo never").exit_code == 1
    assert "never\n" not in printed(sink).replace("$ false; echo never\n", "")


@pytest.mark.parametrize(
    ("counts", "failure", "words"),
    [
        ((4, 5), FailureReason.OOM, "killed by the kernel: the machine was out of memory"),
        ((4, 4), FailureReason.FAILURE, "killed (SIGKILL) by another process"),
        ((None, None), FailureReason.OOM, "probably by the kernel"),
    ],
)
def test_the_kernels_own_count_says_who_killed_it(run, monkeypatch, counts, failure, words):
    answers = iter(counts)
    monkeypatch.setattr(module, "_kernel_kills", lambda: next(answers))
    outcome = run("kill -KILL $$")
    assert outcome.failure is failure
    assert words in outcome.reason
    assert outcome.exit_code == 137


def test_the_kernels_count_can_be_read_here_or_is_unknown():
    count = module._kernel_kills()
    assert count is None or count >= 0


def test_a_cancelled_claim_ends_what_runs_and_starts_nothing_more(run, lease, tmp_path):
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.append(run("touch begun; sleep 1000", "touch never")))
    thread.start()
    wait_for((tmp_path / "begun").exists, "the first command runs")
    lease.lose(Over.CANCELLED)
    thread.join(60)
    assert (found[0].status, found[0].failure) == (RunStatus.KILLED, FailureReason.CANCELLED)
    assert not (tmp_path / "never").exists()


def test_a_claim_cancelled_before_starts_nothing(run, lease, tmp_path):
    lease.lose(Over.CANCELLED)
    assert run("touch never").status is RunStatus.KILLED
    assert not (tmp_path / "never").exists()


def test_a_claim_that_is_gone_has_no_outcome(run, lease, tmp_path):
    lost = threading.Event()

    def lose() -> None:
        wait_for((tmp_path / "begun").exists, "the command runs")
        lease.lose(Over.SUPERSEDED)
        lost.set()

    thread = threading.Thread(target=lose)
    thread.start()
    with pytest.raises(Superseded):
        run("touch begun; sleep 1000")
    thread.join(60)
    assert lost.is_set()


def test_a_folder_that_is_not_there_is_told(sink, lease, tmp_path):
    plan = CommandPlan(commands=("true",), workdir=tmp_path / "nowhere", environment=PATH)
    outcome = run_commands(plan, sink, lease)
    assert (outcome.status, outcome.exit_code) == (RunStatus.FAILED, 127)


SHOW = '#!/bin/sh\nprintf "%s|" "$@"\n'


@pytest.mark.parametrize(
    ("line", "is_direct", "seen"),
    [
        ("./show a --b=1 c/d", True, "a|--b=1|c/d|"),
        ("show a", True, "a|"),
        ("./show 'a b'", True, "a b|"),
        ("./show -c 'a | b; $HOME'", True, "-c|a | b; $HOME|"),
        ('./show "a b"', False, "a b|"),
        ("./show 'it'\"'\"'s' ''", True, "it's||"),
        ("./show $HOME", False, "|"),
        ("./show a  b", False, "a|b|"),
        ("X=1 ./show a", False, "a|"),
        ("./show a*", False, "a*|"),
        ("./show a; true", False, "a|"),
    ],
)
def test_a_plain_line_starts_its_program_and_any_other_a_shell(run, sink, tmp_path, line, is_direct, seen):
    (tmp_path / "show").write_text(SHOW)
    (tmp_path / "show").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": ""}
    plan = CommandPlan(commands=(line,), workdir=tmp_path, environment=environment)
    assert (module._argv(line, plan)[0] == line.split(" ")[0]) is is_direct
    assert run(line, environment=environment, announce=False).status is RunStatus.FINISHED
    assert printed(sink) == seen


def test_what_bash_does_itself_it_does_also_where_a_program_has_that_name(run, tmp_path):
    assert run("cd /", "exit 0", "time true").status is RunStatus.FINISHED
    assert run("no-such-program-at-all a").exit_code == 127
