"""Adapters to code hosts: verify, fetch, status, comment."""
