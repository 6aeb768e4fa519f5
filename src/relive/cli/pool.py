"""`relive pool`: compute picked by name."""

import click

from relive.cli.output import Group, escape, json_option, out, print_json, print_table
from relive.client.hub import connect
from relive.core.ids import short_id


@click.group(cls=Group)
def pool() -> None:
    """Pools: list, add, remove, and the jobs on them.

    A stage names its pool in relive.yaml (`resources: {pool: NAME}`); without one it runs
    on the hub's machine.
    """


@pool.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List pools.

    \b
    Example:
      relive pool list
    """
    found = connect().list_pools()
    if as_json:
        print_json(found)
        return
    print_table(
        ("POOL", "KIND", "JOBS AT ONCE", "CONFIG"),
        (
            (item.name, item.executor, item.slots, ", ".join(f"{k}={v}" for k, v in item.config.items()))
            for item in found
        ),
        empty="No pools.",
    )


@pool.command()
@click.argument("name")
@click.option(
    "--ray", required=True, help="HTTP address of the cluster's dashboard, such as http://head:8265."
)
@click.option(
    "--slots", type=click.IntRange(1), default=4, show_default=True, help="Jobs placed or waiting at once."
)
@click.option(
    "--python",
    default="python3",
    show_default=True,
    help="Interpreter on the cluster's machines; of the hub's minor version.",
)
@click.option(
    "--token-file",
    default="",
    help="File on the hub's machine with the token that the cluster asks for.",
)
@json_option
def add(name: str, ray: str, slots: int, python: str, token_file: str, as_json: bool) -> None:
    """Add a Ray cluster under a name; its jobs reach the hub at the hub's --public-url.

    The hub asks the cluster first: its address, its version, its Python.

    \b
    Example:
      relive pool add gpu --ray http://head.example.org:8265
    """
    config = {"address": ray, "python": python} | ({"token_file": token_file} if token_file else {})
    made = connect().create_pool(name, "ray", config, slots=slots)
    if as_json:
        print_json(made)
    else:
        out.print(f"Pool {made.name} is ready. In relive.yaml: resources: {{pool: {made.name}}}")


@pool.command()
@click.argument("name")
@json_option
def remove(name: str, as_json: bool) -> None:
    """Take a pool away; what runs there goes on to its end.

    \b
    Example:
      relive pool remove gpu
    """
    connect().delete_pool(name)
    if as_json:
        print_json({"removed": name})
    else:
        out.print(f"Pool {escape(name)} is gone.")


@pool.command()
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@json_option
def jobs(limit: int, as_json: bool) -> None:
    """List jobs: what runs and what waits, on which pool.

    \b
    Example:
      relive pool jobs
    """
    found = connect().list_jobs(limit=limit)
    if as_json:
        print_json(found)
        return
    print_table(
        ("JOB", "KIND", "STATE", "POOL", "FOR", "ERROR"),
        (
            (short_id(item.id), item.kind.value, item.state.value, item.pool, item.subject, item.error)
            for item in found
        ),
        empty="No jobs yet.",
    )
