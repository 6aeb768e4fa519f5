"""The command of a run, wherever its environment comes to lie."""

import posixpath
import re

from relive.core.recipe import Recipe


def command_of(recipe: Recipe) -> str:
    """Give the command, and where it names a program by the place of its environment, the program alone.

    With a lock it is as it was typed: what it then names lies outside of the environment.
    """
    declared, observed = recipe.declared, recipe.observed
    if declared.environment or observed is None or observed.interpreter is None:
        return declared.command
    command = declared.command
    for place in observed.interpreter.places:
        program = rf"""(^|[\s'"=;&|(]){_named(place)}/bin/(?=[\w.-])"""
        command = re.sub(program, r"\1", command)
    return command


def _named(place: str) -> str:
    """Give a pattern of what a place may be called: one in the code, from any folder on the way to it."""
    if posixpath.isabs(place):
        return re.escape(place)
    parts = place.split("/")
    ends = ("/".join(parts[at:]) for at in range(len(parts)))
    return rf"(?:\.{{1,2}}/)*(?:{'|'.join(map(re.escape, ends))})"
