"""Another program with a token of the same app: `python -m bench.other_app`. It reads at an even pace until it is
ended, and neither knows of a quota nor tries again."""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import requests

AT_ONCE = 8  # calls open at the same time; at 6 calls a second of 150 ms each it is one on average
PATH = "/crm/associations/2026-03/definitions/configurations/2-1/contacts"


def main(hubspot: str, token: str, per_second: float) -> None:
    """Read a pair so many times a second."""
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {token}"
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=AT_ONCE))
    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number in count():
            time.sleep(max(0.0, began + number / per_second - time.monotonic()))
            pool.submit(session.get, hubspot + PATH)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.other_app", description=__doc__)
    parser.add_argument("--hubspot", required=True, help="base URL")
    parser.add_argument("--token", required=True)
    parser.add_argument("--per-second", type=float, required=True)
    options = parser.parse_args()
    main(options.hubspot, options.token, options.per_second)
