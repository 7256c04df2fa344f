"""Words of the service's answers that tests must read, as they are promised in docs/outcomes.md."""

import re

# Of an input that may have been set and overwritten: the number that was there instead.
INSTEAD = re.compile(r"came to no clear answer, and (\d+) is there")
# Of an input whose result stands in its pair's register alone: the run that found it has died.
RECORDED = "recorded by an earlier run"
