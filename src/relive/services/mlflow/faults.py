"""Failures in MLflow's own words, where its clients and their users depend on code and text."""

import json
from dataclasses import dataclass
from typing import Any, Final

from relive.errors import ReliveError

_STATUSES: Final = {
    "BAD_REQUEST": 400,
    "INVALID_PARAMETER_VALUE": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "RESOURCE_CONFLICT": 409,
    "UNPROCESSABLE_ENTITY": 422,
    "INVALID_STATE": 500,
    "INTERNAL_ERROR": 500,
    "NOT_IMPLEMENTED": 501,
}
SEE_DOCS: Final = " See the API docs for more information about request parameters."
# A message is for people; MLflow repeats values of any length.
_LONGEST_SHOWN: Final = 2000


@dataclass(eq=False)
class MlflowFault(ReliveError):
    """An answer that is MLflow's own: its error code and its text."""

    code = "mlflow"
    error_code: str
    message: str

    @property
    def status(self) -> int:
        """Give the HTTP status that MLflow answers with."""
        return _STATUSES[self.error_code]

    def what(self) -> str:
        """Say what happened."""
        return self.message


def invalid(message: str) -> MlflowFault:
    """Make the fault for a value that cannot be used."""
    return MlflowFault(error_code="INVALID_PARAMETER_VALUE", message=message)


def missing(message: str) -> MlflowFault:
    """Make the fault for what does not exist."""
    return MlflowFault(error_code="RESOURCE_DOES_NOT_EXIST", message=message)


def taken(message: str) -> MlflowFault:
    """Make the fault for what exists already."""
    return MlflowFault(error_code="RESOURCE_ALREADY_EXISTS", message=message)


def invalid_state(message: str) -> MlflowFault:
    """Make the fault for what the present state does not allow."""
    return MlflowFault(error_code="INVALID_STATE", message=message)


def invalid_value(path: str, value: Any, hint: str = "") -> str:
    """Say that a value is not what its parameter takes."""
    shown = json.dumps(value, sort_keys=True, separators=(",", ":"))
    if len(shown) > _LONGEST_SHOWN:
        shown = f"{shown[:_LONGEST_SHOWN]}…"
    return f"Invalid value {shown} for parameter '{path}' supplied{f': {hint}' if hint else '.'}"


def missing_value(path: str) -> str:
    """Say that a parameter was not given."""
    return f"Missing value for required parameter '{path}'."
