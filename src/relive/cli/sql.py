"""`relive sql`: the hub's facts, asked in SQL."""

import csv
import io
import sys

import click

from relive.cli.output import err, json_option, print_json, print_table
from relive.client.hub import connect


@click.command()
@click.argument("query", default="")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="Rows at most.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead of a table.")
@click.option("--tables", "only_tables", is_flag=True, help="List the tables and their columns.")
@json_option
def sql(query: str, limit: int, as_csv: bool, only_tables: bool, as_json: bool) -> None:
    """Ask the hub's database one SELECT; `-` reads it from standard input. For admins.

    Nothing can be changed, and tables that hold secrets cannot be read. Params are JSON text; points of
    metrics are read by `relive show` and the API, their last, least and greatest value here.

    \b
    Example:
      relive sql "SELECT status, count(*) FROM runs GROUP BY status"
      relive sql --tables
    """
    hub = connect()
    if only_tables:
        tables = hub.list_sql_tables()
        if as_json:
            print_json(tables)
        else:
            rows = ((name, ", ".join(columns)) for name, columns in tables.items())
            print_table(("TABLE", "COLUMNS"), rows, empty="No tables.")
        return
    text = sys.stdin.read() if query == "-" else query
    if not text.strip():
        raise click.UsageError('Give a question: relive sql "SELECT …", or --tables.')
    found = hub.ask_sql(text, limit=limit)
    if as_json:
        print_json([dict(zip(found.columns, row, strict=True)) for row in found.rows])
    elif as_csv:
        lines = io.StringIO()
        csv.writer(lines, lineterminator="\n").writerows([found.columns, *found.rows])
        sys.stdout.write(lines.getvalue())
    elif found.columns:
        print_table(found.columns, found.rows, empty="No rows.")
    if found.truncated:
        err.print(f"Only the first {limit} rows are shown: --limit shows more.")
