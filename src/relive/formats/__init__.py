"""Bytes to core structs and back, shared by both sides: pipeline files, locks, spools, manifests, signatures.

No network, no database.
"""
