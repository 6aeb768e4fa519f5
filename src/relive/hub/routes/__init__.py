"""Thin HTTP routes: authorise, one service call, reply."""
