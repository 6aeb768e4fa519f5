"""What messages of all groups are made of."""

from typing import Annotated, TypeAlias

import msgspec

Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Int32: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a request of MLflow's protocol is.

    A field without a default must be there and not be empty. Fields stand in the order in which MLflow looks
    at them, for it names the first that is wrong. A message with fields that are not listed is read all the
    same, without them, only slower (see `hub.routes.mlflow.reading`): list all that clients send.
    """


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """The shape of every error that MLflow's clients read; the last two classify the first."""

    error_code: str
    message: str
    sqlstate: str = ""
    error_class: str = ""


class KeyValue(msgspec.Struct, frozen=True):
    """A param or a tag."""

    key: str
    value: str = ""
