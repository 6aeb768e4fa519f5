"""The hub as a git remote: HTTP to `git http-backend`, and the hooks' way back into the hub."""
