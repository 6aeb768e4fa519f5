"""Files that clients store under an address of their own, which is no run's."""

import msgspec


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file.

    Attributes:
        path: The whole address, such as EXPERIMENT/models/m-ID/artifacts/MLmodel.
        digest: Of its bytes.
    """

    path: str
    digest: str
    size_bytes: int
    created_by: str = ""
    created_at: float = 0.0
