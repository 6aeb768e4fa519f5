"""The cache key of a stage: one digest over everything its result depends on."""

from collections.abc import Mapping

from relive.core.digest import Digest
from relive.formats.hashing import document_digest

# Part of every key: changing it, when the meaning of the facts changes, makes every stage run again.
_SCHEMA = "relive.cache/1"


def cache_key(facts: Mapping[str, str]) -> Digest:
    """Give the key of these facts, whatever their order.

    Raises:
        InvalidInput: A fact is text that Unicode does not allow.
    """
    return document_digest({"schema": _SCHEMA, "facts": dict(facts)})
