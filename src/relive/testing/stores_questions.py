"""What a question in SQL may see."""

import pytest

from relive.errors import InvalidInput
from relive.ports.stores import Store
from relive.testing.stores_samples import a_run

REFUSED = (
    "SELECT * FROM tokens",
    "SELECT secret_sha256 AS a FROM tokens t",
    "SELECT (SELECT count(*) FROM users)",
    "WITH x AS (SELECT * FROM meta) SELECT * FROM x",
    "SELECT * FROM runs UNION SELECT * FROM tokens",
    "SELECT * FROM runs WHERE id IN (SELECT id FROM tokens)",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pg_catalog.pg_authid",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM public.tokens",
    "DELETE FROM runs",
    "UPDATE runs SET name = 'x'",
    "INSERT INTO runs (id) VALUES ('x')",
    "DROP TABLE runs",
    "CREATE TABLE x (a)",
    "PRAGMA writable_schema = 1",
    "ATTACH 'x' AS y",
    "VACUUM INTO 'x.db'",
    "SELECT 1; DELETE FROM runs",
    "SELECT 1; SELECT 2",
    "SELECT load_extension('x')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_sleep(100)",
    "SELECT set_config('a', 'b', false)",
    "SELECT * FROM generate_series(1, 1000000000)",
    "SELECT name INTO other FROM runs",
    "SELECT * FROM runs FOR UPDATE",
    "WITH gone AS (DELETE FROM runs RETURNING id) SELECT * FROM gone",
    "COPY runs TO PROGRAM 'sh'",
    "SELECT randomblob(1000000000)",
    "SELECT ?",
    "",
    "not sql at all",
    "(" * 5000,
)


class QuestionContract:
    """What `ports.stores.QuestionStore` promises."""

    def test_a_question_is_answered_with_columns_and_rows(self, store: Store) -> None:
        run = a_run(store, name="brave otter")
        store.record_params(run.id, {"lr": 0.1})
        found = store.select(
            "WITH mine AS (SELECT id, name FROM runs WHERE name LIKE 'brave%') "
            "SELECT upper(mine.name) AS shouted, params.value, count(*) OVER () AS n "
            "FROM mine JOIN params ON params.run_id = mine.id"
        )
        assert found.columns == ("shouted", "value", "n")
        assert found.rows == (("BRAVE OTTER", "0.1", 1),)

    def test_no_more_rows_are_given_than_asked_for(self, store: Store) -> None:
        for _ in range(3):
            a_run(store)
        found = store.select("SELECT id FROM runs", limit=2)
        assert (len(found.rows), found.truncated) == (2, True)
        assert not store.select("SELECT id FROM runs", limit=3).truncated

    @pytest.mark.parametrize("query", REFUSED)
    def test_what_is_closed_is_refused(self, store: Store, query: str) -> None:
        run = a_run(store)
        with pytest.raises(InvalidInput):
            store.select(query)
        assert store.get_run(run.id) == run  # and the store goes on as before

    def test_a_question_that_takes_too_long_is_ended(self, store: Store) -> None:
        a_run(store)
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
        with pytest.raises(InvalidInput, match="cannot be used") as raised:
            store.select(endless, timeout_s=0.3)
        assert "within 0.3 s" in (raised.value.expected() or "")
        assert store.select("SELECT 1 AS one").rows == ((1,),)

    def test_what_the_database_does_not_understand_is_told_in_its_words(self, store: Store) -> None:
        with pytest.raises(InvalidInput, match="no_such_column"):
            store.select("SELECT no_such_column FROM runs")

    def test_percent_signs_and_colons_are_letters(self, store: Store) -> None:
        assert store.select("SELECT '100 %', ':x', '%s'").rows == (("100 %", ":x", "%s"),)

    def test_the_open_tables_hold_no_secret(self, store: Store) -> None:
        assert {"runs", "traces", "spans", "assessments", "evaluation_records"} <= store.open_tables().keys()
        columns = {f"{table}.{column}" for table, all_ in store.open_tables().items() for column in all_}
        assert "runs.name" in columns
        assert not {column for column in columns if "secret" in column or "token" in column}
