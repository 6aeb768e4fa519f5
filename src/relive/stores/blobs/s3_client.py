"""Where a bucket is, how obstore is told to reach it, and what its errors mean in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import parse_qsl, urlsplit

import msgspec
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from relive.errors import InvalidInput, StoreUnavailable

if TYPE_CHECKING:
    from obstore.store import S3Config

_FORM: Final = "s3://bucket/prefix?endpoint=https://host:port&region=name&virtual_hosted=true"
RETRIES: Final = 5
_DENIED: Final = (PermissionDeniedError, UnauthenticatedError)
_CREDENTIALS: Final = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


class S3Address(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One bucket, or a folder of it.

    Attributes:
        prefix: What every key begins with; without slashes at its ends.
        endpoint: Of a server other than Amazon's; `http://` is allowed.
        region: Without it the environment's, else us-east-1.
        virtual_hosted: Whether the bucket's name is part of the host's name rather than of the path.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    virtual_hosted: bool = False

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read an `s3://` URL.

        Raises:
            InvalidInput: It is malformed, has an unknown key, or holds credentials.
        """
        try:
            parts = urlsplit(url)
            if "@" in parts.netloc:
                raise ValueError(f"without credentials: {_CREDENTIALS}")
            settings = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
            if (
                parts.scheme != "s3"
                or not parts.netloc
                or parts.fragment
                or {"bucket", "prefix"} & settings.keys()
            ):
                raise ValueError("bucket and prefix stand before the question mark")
            address = {"bucket": parts.netloc, "prefix": parts.path.strip("/"), **settings}
            return msgspec.convert(address, cls, strict=False)
        except ValueError as error:
            # Neither what stands before an @ nor the settings: somebody may have put a secret there.
            shown = f"s3://{url.removeprefix('s3://').partition('?')[0].rpartition('@')[2]}"
            raise InvalidInput(field="store", value=shown, wanted=f"{_FORM} ({error})") from None

    def __str__(self) -> str:
        where = f" at {self.endpoint}" if self.endpoint else ""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/") + where


def make_client(address: S3Address) -> S3Store:
    """Make the client of a bucket; it opens no connection yet, and may be used from any thread.

    Raises:
        StoreUnavailable: The settings cannot be used.
    """
    is_plain = address.endpoint is not None and address.endpoint.startswith("http://")
    config: S3Config = {"virtual_hosted_style_request": address.virtual_hosted}
    if address.endpoint is not None:
        config["endpoint"] = address.endpoint
    if address.region is not None:
        config["region"] = address.region
    with s3_errors(address):
        return S3Store(
            address.bucket,
            config=config,
            client_options={
                "allow_http": is_plain,
                "connect_timeout": timedelta(seconds=10),
                # A stalled connection ends by the read timeout; a large object over a slow one is no error.
                "read_timeout": timedelta(seconds=60),
                "timeout": timedelta(hours=1),
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(minutes=2)},
        )


@contextmanager
def s3_errors(address: S3Address) -> Iterator[None]:
    """Turn obstore's errors into relive's; a FileNotFoundError, for a key that is not there, passes.

    Raises:
        StoreUnavailable: The bucket cannot be reached, is not there, or refuses.
    """
    try:
        yield
    except (FileNotFoundError, BaseError) as error:
        answer = str(error)
        reason, hint = _first_line(answer), None
        if "NoSuchBucket" in answer:
            reason, hint = "there is no such bucket", "create the bucket, or mend the URL"
        elif isinstance(error, FileNotFoundError):
            raise
        elif isinstance(error, _DENIED) or "SignatureDoesNotMatch" in answer:
            reason, hint = f"access denied: {reason}", _CREDENTIALS
        raise StoreUnavailable(store=str(address), reason=reason, hint=hint) from error


def _first_line(answer: str) -> str:
    # What follows is the server's XML, and obstore's own view of the error, a page long.
    return answer.partition("\n")[0].partition(": <?xml")[0].rstrip(". ")
