"""Rebuild a run from its recipe alone, run it, and say the verdict."""
