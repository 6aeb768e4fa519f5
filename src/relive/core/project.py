"""Projects and experiments."""

import msgspec


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A repository and all work on it.

    Attributes:
        default_branch: The protected one: only its pipelines move aliases and deploy.
        mirror: Address of the forge repository it follows, empty if none.
    """

    id: str
    name: str
    default_branch: str = "main"
    mirror: str = ""
    created_at: float = 0.0


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """A named set of runs."""

    id: str
    project_id: str
    name: str
    created_at: float = 0.0
