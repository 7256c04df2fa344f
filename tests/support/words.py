"""Words of the service's answers that tests must read, as they are promised in docs/outcomes.md."""

import re

# Of an input that may have been set and overwritten: the number that was there instead.
INSTEAD = re.compile(r"came to no clear answer, and (\d+) is there")
