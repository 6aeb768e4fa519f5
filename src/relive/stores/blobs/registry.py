"""Opens a blob store by its URL; kinds of stores are entry points, relive's own among them."""

from importlib.metadata import entry_points
from typing import Final

from relive.errors import InvalidInput, StoreUnavailable
from relive.ports.blobs import BlobStore, OpenOptions

GROUP: Final = "relive.blobs"


def open_store(url: str, options: OpenOptions | None = None) -> BlobStore:
    """Open a blob store.

    Args:
        url: A path, `file:///path`, `s3://bucket/prefix?endpoint=http://host:port&region=name`, or the
            scheme of an installed plugin. It holds no secrets: they come from the environment.

    Raises:
        InvalidInput: Nothing opens such a URL, or it is malformed.
        StoreUnavailable: The store cannot be opened, or a package that it needs is not installed.
    """
    scheme = url.partition("://")[0] if "://" in url else "file"
    found = {entry.value: entry for entry in entry_points(group=GROUP, name=scheme)}
    if len(found) != 1:
        schemes = ", ".join(sorted({entry.name for entry in entry_points(group=GROUP)}))
        wanted = f"one of: {schemes}" if not found else f"one plugin, but these offer it: {', '.join(found)}"
        raise InvalidInput(field="scheme of the store's URL", value=scheme, wanted=wanted)
    (entry,) = found.values()
    try:
        open_url = entry.load()
    except ModuleNotFoundError as error:
        raise StoreUnavailable(
            store=f"{scheme}://…",
            reason=f"the package {error.name} is not installed",
            hint=f"pip install 'relive[{scheme}]'",
        ) from error
    store: BlobStore = open_url(url, options or OpenOptions())
    return store
