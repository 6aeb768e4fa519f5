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
    for folder in observed.interpreter.places:
        place = folder if posixpath.isabs(folder) else posixpath.relpath(folder, declared.workdir)
        # "./" may stand before a relative place, and a quote before any.
        command = re.sub(rf"""(^|[\s'"=;&|(])(?:\./)?{re.escape(place)}/bin/(?=[\w.-])""", r"\1", command)
    return command
