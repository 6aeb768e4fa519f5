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
    """A named set of runs.

    Attributes:
        artifact_location: Where clients of other systems keep its artifacts; empty for the hub.
        created_by: Who made it; empty for the hub.
        deleted_at: When it was put aside; it and its runs can be restored until they are purged.
    """

    id: str
    project_id: str
    name: str
    created_at: float = 0.0
    artifact_location: str = ""
    created_by: str = ""
    updated_at: float | None = None
    deleted_at: float | None = None
