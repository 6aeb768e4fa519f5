"""Modules that run inside a user's interpreter: standard library only, Python 3.9 and newer."""
