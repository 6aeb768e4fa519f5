"""Failures in MLflow's own words, where its clients and their users depend on code and text."""

from dataclasses import dataclass
from typing import Final

from relive.errors import ReliveError

_STATUSES: Final = {
    "BAD_REQUEST": 400,
    "INVALID_PARAMETER_VALUE": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "RESOURCE_CONFLICT": 409,
    "INVALID_STATE": 500,
    "INTERNAL_ERROR": 500,
    "NOT_IMPLEMENTED": 501,
}


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
