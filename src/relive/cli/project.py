"""`relive project`: repositories and what they follow."""

import click

from relive.cli.output import Group, escape, json_option, out, print_json, print_table
from relive.client.hub import connect
from relive.wire.hub import Follow


@click.group(cls=Group)
def project() -> None:
    """Projects: list, follow a repository of GitHub, delete an empty one."""


@project.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List projects.

    \b
    Example:
      relive project list
    """
    found = connect().list_projects()
    if as_json:
        print_json(found)
        return
    print_table(
        ("PROJECT", "DEFAULT BRANCH", "FOLLOWS", "PUSH TO"),
        (
            (item.project.name, item.project.default_branch, item.project.mirror, item.git_url)
            for item in found
        ),
        empty="No projects yet: relive init",
    )


@project.command()
@click.argument("name")
@click.argument("url")
@click.option(
    "--token", default="", envvar="RELIVE_FORGE_TOKEN", help="For fetching and for commit statuses."
)
@click.option(
    "--webhook-secret",
    default="",
    envvar="RELIVE_WEBHOOK_SECRET",
    help="Secret of the webhook; without it the hub looks each minute.",
)
@click.option("--api-url", default="", help="API of a GitHub of your own; default: from the address.")
@json_option
def follow(name: str, url: str, token: str, webhook_secret: str, api_url: str, as_json: bool) -> None:
    """Let project NAME follow the GitHub repository at URL: its pushes start pipelines, results go back.

    At GitHub add a webhook for push events with the address HUB/webhooks/github, content type
    application/json, and the same secret. Where GitHub cannot reach the hub, the hub looks each minute.

    \b
    Example:
      relive project follow churn https://github.com/acme/churn --token "$TOKEN" --webhook-secret "$SECRET"
    """
    hub = connect()
    hub.create_project(name)
    hub.follow(name, Follow(url=url, token=token, webhook_secret=webhook_secret, api_url=api_url))
    if as_json:
        print_json(hub.get_project(name))
        return
    how = "its webhook starts pipelines" if webhook_secret else "the hub looks each minute"
    out.print(escape(f"{name} follows {url}: {how}."))


@project.command()
@click.argument("name")
@json_option
def delete(name: str, as_json: bool) -> None:
    """Delete a project in which nothing is: no commit, run, pipeline, model, endpoint or experiment.

    \b
    Example:
      relive project delete mistyped
    """
    connect().delete_project(name)
    if as_json:
        print_json({"deleted": name})
    else:
        out.print(f"Project {escape(name)} is gone.")
