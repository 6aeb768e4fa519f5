"""What a command opens, seen at the system call: the filter, the process that listens, and what it means."""
