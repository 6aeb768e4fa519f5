"""What can go wrong in a model's process.

    Fault
    ├── CannotLoad               the folder is no model that can be loaded
    │   ├── UnknownFormat        nothing in it is a known model file
    │   ├── AmbiguousModel       several files could be the model
    │   └── PackageMissing       the model's environment lacks what the file needs
    ├── BadExample               the example rows cannot be used
    ├── BadSignature             signature.json or expected.json cannot be read
    ├── BadPrediction            the model returned what cannot be served
    ├── ContractBroken           the predictions are not those recorded at registration
    └── RequestFault             a request that is answered with its `status`
        ├── BadRequest           400
        ├── NotServed            404
        ├── MethodRefused        405
        ├── TooLarge             413
        ├── EncodingRefused      415
        └── ModelFailed          500

These run where relive is not installed, so they stand beside `relive.errors` and not below it.
"""

from __future__ import annotations

from collections.abc import Sequence


class Fault(Exception):
    """Base of everything raised on purpose in a model's process; its text is a sentence for people."""


class CannotLoad(Fault):
    """The folder is no model that can be loaded."""


class UnknownFormat(CannotLoad):
    """No file of the folder is a known model file."""

    def __init__(self, folder: str, found: Sequence[str], accepted: Sequence[str]) -> None:
        self.folder, self.found, self.accepted = folder, tuple(found), tuple(accepted)
        there = ", ".join(self.found[:10]) + (", …" if len(self.found) > 10 else "") or "nothing"
        super().__init__(
            f"The model folder {folder} holds no model file that is known: found {there}.\n"
            f"  expected: one of {'; '.join(self.accepted)}\n"
            "  try:      register: {loader: module:function} with a function(folder) of the repository"
        )


class AmbiguousModel(CannotLoad):
    """Several files of the folder could be the model."""

    def __init__(self, folder: str, candidates: Sequence[str]) -> None:
        self.folder, self.candidates = folder, tuple(candidates)
        super().__init__(
            f"In the model folder {folder} several files could be the model: {', '.join(candidates)}.\n"
            "  expected: one model file\n"
            "  try:      write only the model there, or register: {loader: module:function}"
        )


class PackageMissing(CannotLoad):
    """The model's environment lacks a package that its file needs."""

    def __init__(self, package: str, needed_for: str, reason: str) -> None:
        self.package, self.needed_for, self.reason = package, needed_for, reason
        super().__init__(
            f"Package {package!r} cannot be imported, and {needed_for} needs it: {reason}.\n"
            f"  try:      add {package} to the lock of the model's environment"
        )


class BadExample(Fault):
    """The example rows cannot be used."""


class BadSignature(Fault):
    """A recorded signature or expectation cannot be read."""


class BadPrediction(Fault):
    """The model returned something that cannot be served."""


class ContractBroken(Fault):
    """The predictions are not those recorded at registration."""


class RequestFault(Fault):
    """A request that is refused; `status` is the HTTP status of the answer."""

    status = 400


class BadRequest(RequestFault):
    """The request is malformed or does not fit the model's signature."""


class NotServed(RequestFault):
    """The path, model or version is not served here."""

    status = 404


class MethodRefused(RequestFault):
    """The path exists, but not for this method."""

    status = 405


class TooLarge(RequestFault):
    """The body is larger than allowed."""

    status = 413

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(f"the request body is larger than {limit_bytes} bytes; send fewer rows at once")


class EncodingRefused(RequestFault):
    """A Content-Encoding that is not understood."""

    status = 415


class ModelFailed(RequestFault):
    """The model raised; the client gets an id, the log gets the reason."""

    status = 500

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        super().__init__(f"the model failed on this request; its log has the reason under id {request_id}")
