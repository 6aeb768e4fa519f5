"""Talk to the hub: HTTP transport, the spool on disk, the open run."""
