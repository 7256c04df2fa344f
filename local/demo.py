"""The whole product, shown on one machine: `python -m local.demo`. People use `make demo`, and `make picture` for the
README's picture of it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import requests
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from local import emulator, picture, stack
from local.deployment import DeploymentFailed
from local.processes import ROOT, ServerFailed

# The schedule's one firing: late enough to be seen coming, early enough that nobody waits long for it.
SCHEDULED_AFTER = timedelta(seconds=35)
LONGEST_WAIT = 90.0  # seconds until an outcome must be final
PICTURE = ROOT / "docs/demo.svg"
FINAL = {"COMPLETE", "PARTIAL", "REJECTED", "UNCONFIRMED", "FAILED"}
COLOURS = {"APPLIED": "green", "COMPLETE": "green", "PARTIAL": "yellow", "REJECTED": "red"}

# Into a file or a pipe rich would assume 80 columns, in which tables of messages and addresses break.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)


class Unexpected(Exception):
    """The demonstration did not go as it should. The message says how."""


@dataclass(frozen=True)
class Expected:
    """A request that was sent, and what its outcome must be: its status, and the result of each input."""

    way: str
    outcome_id: str
    status: str
    results: tuple[str, ...]


def limit(type_id: int, number: int, category: str = "HUBSPOT_DEFINED") -> dict[str, Any]:
    """One input of a batch create."""
    return {"category": category, "typeId": type_id, "maxToObjectIds": number}


class Demo:
    """Sends requests by each of the three triggers, and reads their outcomes."""

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

    def run(self, started: datetime) -> list[RenderableType]:
        """Send everything, and return every outcome to be shown. Raises Unexpected if one is not as it should be."""
        sent = [self._webhook_now(), self._webhook_later(), *self._queue()]
        with waiting("HubSpot now fails three times for one pair; a request for that pair is sent all the same"):
            pair = {"fromObjectType": "companies", "toObjectType": "deals"}
            self._standin("POST", "faults", {**pair, "times": 3, "effect": {"kind": "status", "status": 503}})
            sent.append(self._webhook_later_while_hubspot_fails())
        with waiting("Outcomes"):
            outcomes = [self._final(expected.outcome_id) for expected in sent]
        with waiting(f"The schedule, which fires {SCHEDULED_AFTER.seconds} seconds after the start"):
            scheduled = self._scheduled(started)
        sent.append(Expected("Schedule", scheduled["id"], "COMPLETE", ("APPLIED",)))
        outcomes.append(scheduled)
        wrong = [message for pair in zip(sent, outcomes, strict=True) if (message := difference(*pair))]
        if wrong:
            raise Unexpected("; ".join(wrong))
        calls = len(self._standin("GET", "journal")["entries"])
        return [
            table(zip(sent, outcomes, strict=True)),
            Text(f"\nAll outcomes are as expected. HubSpot (the stand-in) took {calls} calls for them."),
        ]

    # ---------------------------------------------------------------------------------------------- the three triggers
    def _webhook_now(self) -> Expected:
        inputs = [limit(279, 50), limit(1, 1)]
        answer = self._post("contacts", "companies", inputs)
        if answer.status_code != 201 or answer.json()["status"] != "COMPLETE":
            raise Unexpected(f"the webhook answered {answer.status_code}: {answer.text}")
        return Expected("HTTP", answer.headers["Outcome-Id"], "COMPLETE", ("APPLIED", "APPLIED"))

    def _webhook_later(self) -> Expected:
        answer = self._post("companies", "contacts", [limit(280, 1000)], prefer="respond-async")
        return Expected("HTTP, respond-async", self._accepted(answer), "COMPLETE", ("APPLIED",))

    def _webhook_later_while_hubspot_fails(self) -> Expected:
        answer = self._post("companies", "deals", [limit(342, 25)], prefer="respond-async")
        return Expected("HTTP, HubSpot failing", self._accepted(answer), "COMPLETE", ("APPLIED",))

    def _queue(self) -> Iterator[Expected]:
        good = {"fromObjectType": "tickets", "toObjectType": "contacts", "inputs": [limit(16, 3)]}
        message = self._send({**good, "requestedBy": "the demonstration"})
        yield Expected("SQS", message, "COMPLETE", ("APPLIED",))
        partly = {
            "fromObjectType": "deals",
            "toObjectType": "companies",
            # A label may not exceed the object limit of its pair, and there is no type 999.
            "inputs": [limit(341, 20), limit(41, 25, "USER_DEFINED"), limit(999, 2)],
        }
        yield Expected("SQS, partly refused", self._send(partly), "PARTIAL", ("APPLIED", "REJECTED", "REJECTED"))
        misspelt = {"category": "HUBSPOT_DEFINED", "typeID": 341, "maxToObjectIds": 20}
        malformed = {"fromObjectType": "deals", "toObjectType": "companies", "inputs": [misspelt]}
        yield Expected("SQS, malformed", self._send(malformed), "REJECTED", ())

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

    # ------------------------------------------------------------------------------------------------------ outcomes
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


def until(look: Callable[[], dict[str, Any] | None], otherwise: str) -> dict[str, Any]:
    """What `look` finds, as soon as it finds something. Raises Unexpected after LONGEST_WAIT."""
    end = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.5)
    raise Unexpected(f"{otherwise} after {LONGEST_WAIT:.0f} seconds")


def difference(expected: Expected, outcome: dict[str, Any]) -> str | None:
    """How an outcome differs from what it must be, if it does."""
    results = tuple(item["result"] for item in outcome["inputs"])
    if (outcome["status"], results) == (expected.status, expected.results):
        return None
    return f"{expected.way}: expected {expected.status} {expected.results}, got {outcome['status']} {results}"


def table(results: Iterable[tuple[Expected, dict[str, Any]]]) -> Table:
    """Every outcome in a row of its own, with a row below it for each of its inputs."""
    made = Table("sent by", "pair", "outcome", box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("calls", "typeId", "limit"):
        made.add_column(name, justify="right")
    made.add_column("result")
    made.add_column("why", ratio=1)
    for expected, outcome in results:
        pair = f"{outcome['fromObjectType']} → {outcome['toObjectType']}" if "fromObjectType" in outcome else ""
        first: list[RenderableType] = [expected.way, pair, coloured(outcome["status"]), str(len(outcome["attempts"]))]
        if not outcome["inputs"]:
            made.add_row(*first, "", "", "", Text(outcome["reason"]))
        for item in outcome["inputs"]:
            limit_of = (str(item["typeId"]), str(item["maxToObjectIds"]))
            made.add_row(*first, *limit_of, coloured(item["result"]), Text(item.get("message", "")))
            first = [""] * len(first)
    return made


def coloured(word: str) -> Text:
    """A status or result in its colour."""
    return Text(word, style=COLOURS.get(word, ""))


@contextmanager
def waiting(title: str) -> Iterator[None]:
    """Show a step while it runs, where somebody looks on, and then that it is over."""
    with console.status(title):
        yield
    console.print(f"demo: {title}", markup=False)


def main() -> None:
    """Bring the stack up, show it at work, and take it down again. Exits 1 where anything is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="leave the stack up afterwards")
    parser.add_argument("--picture", action="store_true", help=f"keep what is shown in {PICTURE.relative_to(ROOT)}")
    options = parser.parse_args()
    emulator.isolate()
    with stack.exclusive() as lock:
        try:
            started = datetime.now(UTC)
            firing = started + SCHEDULED_AFTER
            stack.up(None, None, f"at({firing:%Y-%m-%dT%H:%M:%S})", lock)
            described = json.loads(stack.STACK_FILE.read_text())
            shown = Demo(described).run(started)
            console.print()
            for one in shown:
                console.print(one)
            if options.picture:
                picture.save(shown, "make demo", PICTURE)
            where(described, stays=options.stay)
        except (ServerFailed, DeploymentFailed, Unexpected, requests.RequestException) as failure:
            console.print(f"demo: {failure}", style="red", markup=False)
            sys.exit(1)
        finally:
            if not options.stay:
                stack.down()


def where(described: dict[str, str], *, stays: bool) -> None:
    """Where everything runs, and what to do next."""
    console.print("\nIt runs here:")
    for name in ("apiUrl", "hubspotBaseUrl", "awsEndpointUrl", "queueUrl", "outcomesTable"):
        console.print(f"  {name:16} {described[name]}", markup=False)
    if stays:
        console.print("It stays up: addresses and the client key are in .local/stack.json; `make down` ends it.")
        console.print("README.md shows how to send requests to it and how to read their outcomes.")
    else:
        console.print("`make demo STAY=1` leaves it up to look around.")


if __name__ == "__main__":
    main()
