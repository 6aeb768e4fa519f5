"""The `relive` command: its groups, and the exit codes that scripts rely on."""

import importlib
import sys
from typing import Final

import click

from relive import __version__
from relive.cli.output import Group, print_error, print_usage_error
from relive.errors import (
    CommandFailed,
    HubRefused,
    HubUnknown,
    HubUnreachable,
    InvalidInput,
    ReliveError,
)

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 5

# The hub's way to say "usage".
_BAD_REQUEST: Final = 400

# Command → its module: a module is imported only when its command is used, so that each starts quickly.
COMMANDS: Final = {
    "up": "up",
    "open": "open",
    "init": "init",
    "demo": "demo",
    "run": "run",
    "runs": "runs",
    "show": "runs",
    "logs": "runs",
    "cancel": "runs",
    "replay": "replay",
    "preflight": "preflight",
    "diff": "diff",
    "why": "why",
    "pipeline": "pipeline",
    "data": "data",
    "model": "model",
    "deploy": "endpoint",
    "endpoint": "endpoint",
    "pool": "pool",
    "project": "project",
    "traces": "traces",
    "webhook": "webhook",
    "token": "token",
    "key": "key",
    "login": "login",
    "sync": "sync",
    "import": "import_",
    "export": "export",
    "sql": "sql",
    "gc": "gc",
    "cache": "cache",
    "doctor": "doctor",
    "completion": "completion",
    "git-credential": "credential",
}
_HIDDEN: Final = frozenset({"git-credential"})


class LazyGroup(Group):
    """A group whose commands are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names in the order in which a reader meets them."""
        return [name for name in COMMANDS if name not in _HIDDEN]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and give the command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"relive.cli.{COMMANDS[cmd_name]}")
        name = cmd_name.replace("-", "_")
        # A module may use a function of the command's name; then the command itself has a longer one.
        named = (getattr(module, known, None) for known in (name, f"{name}_command"))
        return next(it for it in named if isinstance(it, click.Command))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest name for one that does not exist."""
        import difflib

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean `relive {near[0]}`?" if near else " `relive --help` lists them."
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="relive")
def cli() -> None:
    """Push a repository, get a trained, gated, registered and served model that can be rebuilt.

    \b
    relive up                     start the hub on this machine
    relive init                   in a repository: write relive.yaml, add the git remote
    git push relive main          test, train, gate, register, deploy
    relive replay NAME@champion   make that model again, and judge the copy
    """


def main() -> None:
    """Run the command and end with its exit code."""
    try:
        code = cli.main(prog_name="relive", standalone_mode=False)
    except click.ClickException as error:
        print_usage_error(error)
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("Aborted.", err=True)
        sys.exit(130)
    except ReliveError as error:
        print_error(error)
        sys.exit(exit_code_of(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away, as in `relive runs | head`.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        # A full disk, a file that may not be read: nothing that where it happened in our code would explain.
        where = f": {error.filename}" if error.filename else ""
        click.echo(f"✗ {error.strerror or error}{where}", err=True)
        sys.exit(EXIT_FAILED)
    sys.exit(code if isinstance(code, int) else 0)


def exit_code_of(error: ReliveError) -> int:
    """Give the exit code for an error that ends a command."""
    if isinstance(error, HubUnreachable | HubUnknown):
        return EXIT_UNREACHABLE
    if isinstance(error, InvalidInput) or (isinstance(error, HubRefused) and error.status == _BAD_REQUEST):
        return EXIT_USAGE
    return error.exit_code if isinstance(error, CommandFailed) and error.exit_code > 0 else EXIT_FAILED
