"""`python -m tests.fuzz`."""

import sys

from tests.fuzz.run import main

if __name__ == "__main__":  # its processes import it, too
    sys.exit(main())
