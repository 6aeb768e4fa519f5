"""Where the hub keeps what it knows: `sql` for facts, `blobs` for bytes."""
