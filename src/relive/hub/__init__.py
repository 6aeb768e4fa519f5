"""The hub's process: HTTP, web pages, git remote, scheduler. `hub/app.py` alone joins services to stores."""
