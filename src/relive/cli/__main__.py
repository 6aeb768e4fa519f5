"""`python -m relive.cli`."""

from relive.cli.main import main

main()
