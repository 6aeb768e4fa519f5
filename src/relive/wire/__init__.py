"""Messages between processes: what the client, the runner and the hub say to each other."""
