"""`python -m relive.runner`: one job's process."""

import sys

from relive.runner.main import main

if __name__ == "__main__":
    sys.exit(main())
