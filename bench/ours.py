"""The consumer and its event source mapping, as they are deployed by default."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.deployed import SETTINGS
from bench.fleet import Contestant, Mapping
from local.processes import ROOT

CONSUMER = Contestant("consumer", Path(sys.executable), str(ROOT / "functions"), SETTINGS["consumer"]["timeoutSeconds"])
MAPPING = Mapping(SETTINGS["consumer"]["messagesPerInvocation"], SETTINGS["consumer"]["batchWindowSeconds"])
