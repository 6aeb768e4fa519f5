"""Who may change what tracking clients made."""

from relive.core.access import Caller, Scope
from relive.errors import AccessDenied
from relive.services.accounts import require_reader


def maker_name(caller: Caller) -> str:
    """Give the name under which what a caller makes is kept: a command's is its run."""
    return f"run:{caller.run_id}" if caller.scope is Scope.COMMAND and caller.run_id else caller.name


def may_change_all(caller: Caller) -> bool:
    """Tell whether a caller may change whatever anyone made: users may."""
    return caller.scope in (Scope.ADMIN, Scope.MEMBER)


def require_maker(caller: Caller, made_by: str, action: str) -> None:
    """Let users change anything; whoever has no login, and commands, what they made themselves.

    Raises:
        AccessDenied: It is another's.
    """
    if not may_change_all(caller) and made_by != maker_name(caller):
        raise AccessDenied(action=action, who=caller.name, needs="a user's token, or to have made it")


def require_person(caller: Caller, made_by: str, action: str) -> None:
    """Let people decide, as `require_maker` lets them change; a command decides nothing.

    Raises:
        AccessDenied: It is a command, or it is another's.
    """
    if caller.scope is Scope.COMMAND:
        raise AccessDenied(action=action, who=caller.name, needs="a user's token, not a run's")
    require_maker(caller, made_by, action)


def may_read(caller: Caller, project_id: str) -> bool:
    """Tell whether a caller may read what is a project's: people all, a command its own."""
    try:
        require_reader(caller, project_id)
    except AccessDenied:
        return False
    return True
