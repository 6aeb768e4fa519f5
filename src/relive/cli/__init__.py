"""The command line: one more client of the hub, one module a noun."""
