"""One call for each event, as EventBridge's API destinations make them. A model, which leaves out the time that
EventBridge itself takes: calls begin at the destination's rate, any number of them open at once, and what is answered
429 or 5xx is sent again later. Nobody keeps what was answered."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import requests

from bench.stage import Stage
from bench.traffic import Record

AT_ONCE = 32  # threads; at 19 calls a second of 150 ms each, 3 are open on average
AGAIN = 1.0  # seconds before an event is sent again for the first time; doubled with each further one
PATH = "/crm/associations/2026-03/definitions/configurations/{fromObjectType}/{toObjectType}/batch/create"


def deliver(records: Sequence[Record], stage: Stage, per_second: float) -> float:
    """Send every record's body as an event; the seconds from the first call to the last answer."""
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {stage.token}"
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=AT_ONCE))
    began = time.monotonic()

    def send(number: int, record: Record) -> None:
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))
        body = json.loads(record["body"])
        wait = AGAIN
        while True:
            answer = session.post(stage.hubspot + PATH.format(**body), json={"inputs": body["inputs"]})
            if answer.status_code < 300:
                return
            time.sleep(wait)
            wait *= 2

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(send, range(len(records)), records))
    return time.monotonic() - began
