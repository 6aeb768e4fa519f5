"""Artifacts: uploads in parts, signed addresses.

Source: MLflow's REST API, version 2.0, mlflow-artifacts.
"""

import msgspec

from relive.wire.mlflow.common import Int64, Request


class Part(msgspec.Struct, frozen=True):
    """One part that was stored; `etag` is what the answer to it said."""

    part_number: Int64
    etag: str = ""
    url: str = ""


class CreateUpload(Request, frozen=True):
    """mpu/create; `path` is a path of the client, of which the last name counts."""

    path: str
    num_parts: Int64 = 1


class CompleteUpload(Request, frozen=True):
    """mpu/complete."""

    path: str
    upload_id: str = ""
    parts: tuple[Part, ...] = ()


class AbortUpload(Request, frozen=True):
    """mpu/abort."""

    path: str
    upload_id: str = ""


class PresignUpload(Request, frozen=True):
    """artifacts/presigned-upload-url."""

    path: str
    run_id: str = ""
    model_id: str = ""
    expiration: Int64 = 900


class PresignDownload(Request, frozen=True):
    """artifacts/presigned-download-url."""

    run_id: str
    path: str
    expiration: Int64 = 900
