"""The AWS stack: one construct per capability, wired together in stack.py."""

import sys
from pathlib import Path

# Schedules are checked by the code that will run them, under the imports that it has in Lambda.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "functions"))
