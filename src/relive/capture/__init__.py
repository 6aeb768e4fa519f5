"""What is recorded of a run from outside: code, environment, hardware, loaded libraries, data."""
