"""`relive completion`: tab completion for shells."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    \b
    Examples:
      relive completion bash >> ~/.bashrc
      relive completion fish > ~/.config/fish/completions/relive.fish
    """
    from relive.cli.main import cli  # late: main imports this module by name

    kind = get_completion_class(shell)
    assert kind is not None  # Click knows the three shells of the choice above
    click.echo(kind(cli, {}, "relive", "_RELIVE_COMPLETE").source())
