"""Environments: from a lock file to exact wheels, and from wheels to a folder that Python runs in."""
