"""Server-rendered pages and what they load."""
