"""Handlers of the pages: authorise, ask one view or service, render."""
