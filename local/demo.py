"""The whole product, shown on one machine: `python -m local.demo`. People use `make demo`; with STAY=1 it stays up."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import requests
from rich.console import Console
from rich.table import Table

from local import emulator, stack
from local.deployment import DeploymentFailed
from local.processes import ServerFailed

# The schedule's one firing: late enough to be seen coming, early enough that nobody waits long for it.
SCHEDULED_AFTER = timedelta(seconds=35)
PATIENCE = 90.0  # seconds until an outcome must be final
FINAL = {"COMPLETE", "PARTIAL", "REJECTED", "UNCONFIRMED", "FAILED"}
COLOURS = {"APPLIED": "green", "COMPLETE": "green", "PARTIAL": "yellow", "REJECTED": "red"}

# Into a file or a pipe rich would assume 80 columns, in which tables of messages and addresses break.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)


class Unexpected(Exception):
    """The demonstration went otherwise than it should. The message says how."""


@dataclass(frozen=True)
class Expected:
    """A request that was sent, and what its outcome must be: its status, and the result of each input."""

    title: str
    outcome_id: str
    status: str
    results: tuple[str, ...]


def limit(type_id: int, number: int, category: str = "HUBSPOT_DEFINED") -> dict[str, Any]:
    """One input of a batch create."""
    return {"category": category, "typeId": type_id, "maxToObjectIds": number}


class Demo:
    """Sends requests on each of the three ways in, and reads back what became of them."""

    def __init__(self, described: dict[str, str]) -> None:
        self._at = described
        self._api = requests.Session()
        self._api.headers["Authorization"] = f"Bearer {described['clientKey']}"
        self._sqs = boto3.client(
            "sqs",
            endpoint_url=described["awsEndpointUrl"],
            region_name=described["region"],
            aws_access_key_id=emulator.ACCOUNT,
            aws_secret_access_key="local",
        )

    def run(self, started: datetime) -> None:
        """Send everything, show every outcome, and raise Unexpected if one is not as it should be."""
        sent = [self._webhook_now(), self._webhook_later(), *self._queue()]
        with waiting("HubSpot is told to fail three times for one pair; a request for it is sent all the same"):
            pair = {"fromObjectType": "companies", "toObjectType": "deals"}
            self._standin("POST", "faults", {**pair, "times": 3, "effect": {"kind": "status", "status": 503}})
            sent.append(self._webhook_later_while_hubspot_fails())
        with waiting("Outcomes"):
            outcomes = [self._final(expected.outcome_id) for expected in sent]
        with waiting(f"The schedule, which fires {SCHEDULED_AFTER.seconds} seconds after the start"):
            scheduled = self._scheduled(started)
        sent.append(Expected("Schedule", scheduled["id"], "COMPLETE", ("APPLIED",)))
        outcomes.append(scheduled)
        for expected, outcome in zip(sent, outcomes, strict=True):
            show(expected, outcome)
        wrong = [message for pair in zip(sent, outcomes, strict=True) if (message := difference(*pair))]
        if wrong:
            raise Unexpected("; ".join(wrong))
        self._show_hubspot()

    # ------------------------------------------------------------------------------------------------ the ways in
    def _webhook_now(self) -> Expected:
        inputs = [limit(279, 50), limit(1, 1)]
        answer = self._post("contacts", "companies", inputs)
        if answer.status_code != 201 or answer.json()["status"] != "COMPLETE":
            raise Unexpected(f"the webhook answered {answer.status_code}: {answer.text}")
        return Expected("Webhook, run at once", answer.headers["Outcome-Id"], "COMPLETE", ("APPLIED", "APPLIED"))

    def _webhook_later(self) -> Expected:
        answer = self._post("companies", "contacts", [limit(280, 1000)], prefer="respond-async")
        return Expected("Webhook, respond-async", self._accepted(answer), "COMPLETE", ("APPLIED",))

    def _webhook_later_while_hubspot_fails(self) -> Expected:
        answer = self._post("companies", "deals", [limit(342, 25)], prefer="respond-async")
        return Expected("Webhook, HubSpot failing", self._accepted(answer), "COMPLETE", ("APPLIED",))

    def _queue(self) -> Iterator[Expected]:
        good = {"fromObjectType": "tickets", "toObjectType": "contacts", "inputs": [limit(16, 3)]}
        message = self._send({**good, "requestedBy": "the demonstration"})
        yield Expected("Queue", message, "COMPLETE", ("APPLIED",))
        partly = {
            "fromObjectType": "deals",
            "toObjectType": "companies",
            # A label may not exceed the object limit of its pair, and there is no type 999.
            "inputs": [limit(341, 20), limit(41, 25, "USER_DEFINED"), limit(999, 2)],
        }
        yield Expected("Queue, partly refused", self._send(partly), "PARTIAL", ("APPLIED", "REJECTED", "REJECTED"))
        misspelt = {"fromObjectType": "deals", "toObjectType": "companies", "inputs": [{"typeID": 341}]}
        yield Expected("Queue, malformed", self._send(misspelt), "REJECTED", ())

    def _post(self, from_type: str, to_type: str, inputs: list[Any], prefer: str | None = None) -> requests.Response:
        path = f"/crm/associations/2026-03/definitions/configurations/{from_type}/{to_type}/batch/create"
        headers = {"Prefer": prefer} if prefer else {}
        return self._api.post(self._at["apiUrl"] + path, json={"inputs": inputs}, headers=headers, timeout=30)

    def _send(self, envelope: dict[str, Any]) -> str:
        answer = self._sqs.send_message(QueueUrl=self._at["queueUrl"], MessageBody=json.dumps(envelope))
        return str(answer["MessageId"])

    @staticmethod
    def _accepted(answer: requests.Response) -> str:
        if answer.status_code != 202 or answer.headers.get("Preference-Applied") != "respond-async":
            raise Unexpected(f"respond-async was answered {answer.status_code}: {answer.text}")
        return answer.headers["Outcome-Id"]

    # ------------------------------------------------------------------------------------------- what became of it
    def _final(self, outcome_id: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            answer = self._api.get(f"{self._at['apiUrl']}/outcomes/{outcome_id}", timeout=30)
            outcome: dict[str, Any] = answer.json()
            return outcome if answer.ok and outcome["status"] in FINAL else None

        return until(look, f"outcome {outcome_id} is not final")

    def _scheduled(self, started: datetime) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            query = {"from": "deals", "to": "contacts", "since": started.isoformat()}
            answer = self._api.get(f"{self._at['apiUrl']}/outcomes", params=query, timeout=30)
            found = [one for one in answer.json()["results"] if one["trigger"] == "schedule"]
            return found[0] if found and found[0]["status"] in FINAL else None

        return until(look, "the schedule has not fired")

    def _standin(self, method: str, path: str, body: object = None) -> Any:
        answer = requests.request(method, f"{self._at['hubspotBaseUrl']}/_standin/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def _show_hubspot(self) -> None:
        calls = self._standin("GET", "journal")
        console.print(f"\nHubSpot (the stand-in) took {len(calls['entries'])} calls; its journal has each of them.")


def until(look: Callable[[], dict[str, Any] | None], otherwise: str) -> dict[str, Any]:
    """What `look` finds, as soon as it finds something. Raises Unexpected when patience ends."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.5)
    raise Unexpected(f"{otherwise} after {PATIENCE:.0f} seconds")


def difference(expected: Expected, outcome: dict[str, Any]) -> str | None:
    """How an outcome differs from what it must be, if it does."""
    results = tuple(item["result"] for item in outcome["inputs"])
    if (outcome["status"], results) == (expected.status, expected.results):
        return None
    return f"{expected.title}: expected {expected.status} {expected.results}, got {outcome['status']} {results}"


def show(expected: Expected, outcome: dict[str, Any]) -> None:
    """An outcome as a table, input by input."""
    pair = f"{outcome['fromObjectType']} → {outcome['toObjectType']}" if "fromObjectType" in outcome else "no pair"
    status = outcome["status"]
    calls = len(outcome["attempts"])
    console.print(
        f"\n[bold]{expected.title}[/bold]  {pair}  [{COLOURS.get(status, 'white')}]{status}[/]"
        f"  trigger {outcome['trigger']}, {calls} call{'' if calls == 1 else 's'}"
        + (f", by {outcome['requestedBy']}" if "requestedBy" in outcome else "")
    )
    console.print(f"outcome {outcome['id']}", style="dim")
    if not outcome["inputs"]:
        console.print(f"  {outcome['reason']}", markup=False)
        return
    table = Table("category", "typeId", "asked", "result", "message", box=None, pad_edge=True, header_style="dim")
    for item in outcome["inputs"]:
        result = f"[{COLOURS.get(item['result'], 'white')}]{item['result']}[/]"
        row = (item["category"], str(item["typeId"]), str(item["maxToObjectIds"]), result, item.get("message", ""))
        table.add_row(*row)
    console.print(table)


@contextmanager
def waiting(title: str) -> Iterator[None]:
    """Show what is going on, where somebody looks on, and that it is over."""
    with console.status(title):
        yield
    console.print(f"demo: {title}", markup=False)


def main() -> None:
    """Bring the stack up, show it at work, and take it down again. Exits 1 where anything is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="leave the stack up afterwards")
    options = parser.parse_args()
    emulator.isolate()
    with stack.exclusive() as lock:
        try:
            started = datetime.now(UTC)
            firing = started + SCHEDULED_AFTER
            stack.up(None, None, f"at({firing:%Y-%m-%dT%H:%M:%S})", lock)
            described = json.loads(stack.STACK_FILE.read_text())
            Demo(described).run(started)
            where(described, stays=options.stay)
        except (ServerFailed, DeploymentFailed, Unexpected, requests.RequestException) as failure:
            console.print(f"demo: {failure}", style="red", markup=False)
            sys.exit(1)
        finally:
            if not options.stay:
                stack.down()


def where(described: dict[str, str], *, stays: bool) -> None:
    """Say where everything runs, and what to do next."""
    console.print("\nAll outcomes are as expected. It runs here:")
    for name in ("apiUrl", "hubspotBaseUrl", "awsEndpointUrl", "queueUrl", "outcomesTable"):
        console.print(f"  {name:16} {described[name]}", markup=False)
    if stays:
        console.print("It stays up: addresses and the client key are in .local/stack.json; `make down` ends it.")
    else:
        console.print("`make demo STAY=1` leaves it up to look around.")


if __name__ == "__main__":
    main()
