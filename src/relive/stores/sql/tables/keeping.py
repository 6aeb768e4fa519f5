"""Tables of what keeps blobs from being deleted, or says that they are about to be."""

from relive.stores.sql.tables.base import flag, key, real, table

# A blob that somebody was told is there, and when; or one that is being deleted, which nobody is told of.
blob_pins = table("blob_pins", key("digest"), real("at"), flag("is_doomed"), rowid=False)
