"""What messages of all groups are made of."""

from typing import Annotated, TypeAlias

import msgspec

Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class Failure(msgspec.Struct, frozen=True):
    """The shape of every error that MLflow's clients read."""

    error_code: str
    message: str


class KeyValue(msgspec.Struct, frozen=True):
    """A param or a tag."""

    key: str
    value: str = ""
