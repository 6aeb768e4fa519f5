"""`python -m relive.serving`, and `python -m relive_serving` in a model's own environment."""

import sys

from .main import main

if __name__ == "__main__":
    sys.exit(main())
