"""`relive sql`, as an admin types it."""

from tests.support.bench import Bench
from tests.unit.cli.conftest import Shell


def test_a_question_is_printed_as_table_csv_and_json(relive: Shell, bench: Bench) -> None:
    bench.by_hand(name="brave otter")
    question = "SELECT name, status FROM runs"
    assert relive("sql", question).lines == ["name         status", "brave otter  running"]
    assert relive("sql", question, "--csv").out == "name,status\nbrave otter,running\n"
    assert relive("sql", question, "--json").json == [{"name": "brave otter", "status": "running"}]
    assert relive("sql", "SELECT name FROM runs WHERE 1 = 0").out == "No rows.\n"


def test_the_tables_are_listed(relive: Shell) -> None:
    tables = relive("sql", "--tables", "--json").json
    assert "started_at" in tables["runs"]
    assert "tokens" not in tables
    assert any(line.startswith("runs ") for line in relive("sql", "--tables").lines)


def test_what_is_left_out_is_said(relive: Shell, bench: Bench) -> None:
    for _ in range(2):
        bench.by_hand()
    assert "Only the first 1 rows" in relive("sql", "SELECT id FROM runs", "--limit", "1").err


def test_rubbish_is_refused_with_what_can_be_asked(relive: Shell) -> None:
    said = relive("sql", "SELECT * FROM tokens", code=2)
    assert "table tokens" in said.err
    assert "relive sql --tables" in said.err
    assert relive("sql", code=2).out == ""


def test_a_question_comes_through_standard_input(relive: Shell, bench: Bench) -> None:
    relive.stdin = "SELECT 1 AS one"
    assert relive("sql", "-", "--json").json == [{"one": 1}]
