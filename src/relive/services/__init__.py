"""Use cases of the hub, one a function; they know `ports`, never a concrete store."""
