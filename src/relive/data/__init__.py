"""Data sets on the process side: add, check out, diff, profile, stream."""
