"""Adapters that place a Job on a Pool."""
