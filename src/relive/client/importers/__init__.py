"""Runs that other trackers hold, read from their servers or folders and sent as any client sends its own.

`foreign` says what a run from elsewhere is, `receive` sends it; each other module reads one kind of source.
"""
