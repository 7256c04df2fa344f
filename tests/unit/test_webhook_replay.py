"""POST /outcomes/{id}/replay: what was not applied is run again as an outcome of its own, linked to the old one."""

from __future__ import annotations

import json
from dataclasses import replace as changed
from datetime import datetime, timedelta
from typing import Any

import pytest

import consumer
import production
import sweep
import webhook
from hubspot_api.client import Answer
from ledger.ledger import Ledger
from ledger.replay import replay as as_request
from model.contract import LimitInput
from model.outcomes import Outcome, Result, Status
from model.records import milliseconds
from tests.support.aws import Deployment
from tests.support.events import Context, api_event, sqs_event
from tests.support.fakes import Clock, FakeHubSpot, answer, echo, envelope, failed, key, request
from tests.support.queue import deliver, takes_nothing

Reply = tuple[int, dict[str, Any], dict[str, str]]


def call(method: str, path: str, query: dict[str, str] | None = None, who: str = "crm") -> Reply:
    event = api_event(method, path, query=query, Authorization=f"Bearer {who}-key")
    reply = webhook.handler(event, Context())
    headers = {name: values[0] for name, values in reply["multiValueHeaders"].items()}
    return reply["statusCode"], json.loads(reply["body"]), headers


def replay(outcome_id: str, query: dict[str, str] | None = None, who: str = "crm") -> Reply:
    return call("POST", f"/outcomes/{outcome_id}/replay", query, who)


def read(outcome_id: str) -> Outcome:
    outcome = production.ledger().get(outcome_id)
    assert outcome is not None
    return outcome


def consume(*messages: dict[str, Any]) -> list[dict[str, str]]:
    answered: dict[str, list[dict[str, str]]] = consumer.handler(sqs_event(*messages), Context(time_left=60_000))
    return answered["batchItemFailures"]


def refuse(*bad: int) -> Any:
    """An answer that refuses those types, each in words of its own, and applies the others."""

    def reply(inputs: list[LimitInput]) -> Answer:
        errors = [{"message": f"typeId {n} is bad"} for n in bad]
        return answer([echo(item) for item in inputs if item.type_id not in bad], http_status=207, errors=errors)

    return reply


# --------------------------------------------------------------------------------------------------- outcomes to replay
def rejected(hubspot: FakeHubSpot) -> str:
    hubspot.replies = [refuse(3, 4)]
    consume({"body": envelope((3, 5), (4, 5))})
    return "message-0"


def partial(hubspot: FakeHubSpot) -> str:
    hubspot.replies = [refuse(4)]
    consume({"body": envelope((3, 5), (4, 5))})
    return "message-0"


def unconfirmed(hubspot: FakeHubSpot) -> str:
    hubspot.replies, hubspot.reads = [failed(503)], [failed(404)]
    consume({"body": envelope((3, 5), (4, 5))})
    return "message-0"


def given_up(hubspot: FakeHubSpot) -> str:
    asked = request("message-0", (3, 5), (4, 5))
    production.ledger().fail(asked, "given up", "", production.now())
    return asked.id


def given_up_in_doubt(hubspot: FakeHubSpot) -> str:
    hubspot.replies, hubspot.reads = [failed(503)], [failed(503)]
    consume({"body": envelope((3, 5), (4, 5))})
    return given_up(hubspot)


def complete(hubspot: FakeHubSpot) -> str:
    consume({"body": envelope((3, 5), (4, 5))})
    return "message-0"


def not_replayable(reply: Reply) -> str:
    """The message of a 409."""
    status, body, _ = reply
    assert (status, body["status"], body["category"]) == (409, "error", "CONFLICT")
    return str(body["message"])


@pytest.mark.parametrize(
    ("get_outcome", "status", "left"),
    [
        (rejected, Status.REJECTED, [3, 4]),
        (partial, Status.PARTIAL, [4]),
        (unconfirmed, Status.UNCONFIRMED, [3, 4]),
        (given_up, Status.FAILED, [3, 4]),
        (given_up_in_doubt, Status.FAILED, [3, 4]),
    ],
)
def test_what_was_not_applied_is_run_again_as_a_new_outcome_and_each_names_the_other(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock, get_outcome: Any, status: Status, left: list[int]
) -> None:
    old_id = get_outcome(hubspot)
    assert read(old_id).status is status
    clock.advance(3600)
    asked_at = clock()

    answered, body, headers = replay(old_id)

    new_id = headers["Outcome-Id"]
    assert (answered, body["status"], headers["Location"]) == (202, "PENDING", f"/outcomes/{new_id}")
    assert headers["Outcome-Status"] == "QUEUED"
    assert "Idempotency-Replayed" not in headers
    assert read(old_id).replayed_by == new_id
    assert (read(new_id).status, read(new_id).replay_of) == (Status.QUEUED, old_id)
    assert read(new_id).client == "crm"
    assert abs(read(new_id).requested_at - asked_at) < timedelta(milliseconds=1)
    assert [item.type_id for item in read(new_id).inputs] == left

    deliver(functions)
    assert read(new_id).status is Status.COMPLETE
    assert [item.result for item in read(new_id).inputs] == [Result.APPLIED] * len(left)
    shown = call("GET", headers["Location"])[1]
    assert (shown["status"], shown["replayOf"], shown["trigger"]) == ("COMPLETE", old_id, "webhook")
    assert "doubt" not in shown
    assert call("GET", f"/outcomes/{old_id}")[1]["replayedBy"] == new_id


@pytest.mark.parametrize("get_outcome", [rejected, partial, complete])
def test_all_of_it_is_run_again_when_that_is_asked_for(
    functions: Deployment, hubspot: FakeHubSpot, get_outcome: Any
) -> None:
    status, _, headers = replay(get_outcome(hubspot), {"all": "true"})

    assert status == 202
    assert [item.type_id for item in read(headers["Outcome-Id"]).inputs] == [3, 4]
    deliver(functions)
    assert read(headers["Outcome-Id"]).status is Status.COMPLETE


# ---------------------------------------------------------------------------------------------------- reads, then sends
@pytest.mark.parametrize("get_outcome", [unconfirmed, given_up, given_up_in_doubt])
@pytest.mark.parametrize(
    ("there", "calls"), [({key(3): 5, key(4): 5}, ["read"]), ({key(3): 5}, ["read", "read", "create"])]
)
def test_a_replay_of_what_was_not_proved_reads_before_it_sends(
    functions: Deployment, hubspot: FakeHubSpot, get_outcome: Any, there: dict[Any, int], calls: list[str]
) -> None:
    old_id = get_outcome(hubspot)
    hubspot.limits.update(there)
    hubspot.calls.clear()

    _, _, headers = replay(old_id)
    deliver(functions)

    assert hubspot.calls == calls
    assert read(headers["Outcome-Id"]).status is Status.COMPLETE
    assert hubspot.limits == {key(3): 5, key(4): 5}


def test_a_replay_of_what_was_refused_needs_no_reading(functions: Deployment, hubspot: FakeHubSpot) -> None:
    old_id = partial(hubspot)
    hubspot.calls.clear()

    replay(old_id)
    deliver(functions)

    assert hubspot.calls == ["create"]


# ------------------------------------------------------------------------------------------------------ how old it is
def sent(message_id: str, at: datetime, *limits: tuple[int, int]) -> dict[str, Any]:
    """A message that was sent at a time."""
    attributes = {"SentTimestamp": str(milliseconds(at))}
    return {"body": envelope(*limits), "messageId": message_id, "attributes": attributes}


def overtaken(hubspot: FakeHubSpot, clock: Clock) -> str:
    """An outcome that can be replayed, and for one of whose limits another number was asked for since."""
    old_id = partial(hubspot)
    clock.advance(60)
    consume(sent("since", clock(), (4, 9)))
    clock.advance(60)
    return old_id


def test_a_replay_is_as_old_as_its_original_and_leaves_what_was_asked_for_since(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    old_id = overtaken(hubspot, clock)

    _, _, headers = replay(old_id)
    deliver(functions)

    new = read(headers["Outcome-Id"])
    assert hubspot.limits[key(4)] == 9
    assert new.age == read(old_id).age
    assert [(item.result, item.superseded_by) for item in new.inputs] == [(Result.SUPERSEDED, "since")]
    assert new.requested_at == clock()


def test_a_replay_of_all_is_younger_than_what_happened_since_and_wins(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    old_id = overtaken(hubspot, clock)

    replay(old_id, {"all": "true"})
    deliver(functions)

    assert hubspot.limits[key(4)] == 5


def test_a_replay_of_a_replay_is_as_old_as_the_first_of_them(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    old_id = partial(hubspot)
    clock.advance(60)
    consume(sent("since", clock(), (5, 9)))
    hubspot.replies = [refuse(4)]
    clock.advance(60)
    second = replay(old_id)[2]["Outcome-Id"]
    deliver(functions)
    assert read(second).status is Status.REJECTED
    clock.advance(60)

    third = replay(second)[2]["Outcome-Id"]
    deliver(functions)

    assert read(third).status is Status.COMPLETE
    assert read(third).age == read(old_id).age


def test_what_comes_after_an_original_and_before_its_replay_is_the_younger_even_if_it_runs_last(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    old_id = partial(hubspot)
    between = sent("between", clock() + timedelta(seconds=30), (4, 9))
    clock.advance(60)
    replay(old_id)
    deliver(functions)
    assert hubspot.limits[key(4)] == 5

    consume(between)

    assert hubspot.limits[key(4)] == 9


# ---------------------------------------------------------------------------------------------------------- asked twice
def test_asking_twice_replays_once(functions: Deployment, hubspot: FakeHubSpot) -> None:
    old_id = partial(hubspot)
    first = replay(old_id)

    second = replay(old_id)

    assert (second[0], second[1]["status"]) == (202, "PENDING")
    assert second[2]["Outcome-Id"] == first[2]["Outcome-Id"]
    assert second[2]["Idempotency-Replayed"] == "true"
    deliver(functions)
    assert len(hubspot.created) == 2  # of the outcome and of its one replay

    waiting = len(functions.messages())
    third = replay(old_id)
    assert (third[2]["Outcome-Id"], third[2]["Outcome-Status"]) == (first[2]["Outcome-Id"], "COMPLETE")
    assert third[2]["Idempotency-Replayed"] == "true"
    assert len(functions.messages()) == waiting


@pytest.mark.parametrize(("first", "second"), [({}, {"all": "true"}), ({"all": "true"}, {})])
def test_a_replay_of_all_has_an_id_of_its_own(
    functions: Deployment, hubspot: FakeHubSpot, first: dict[str, str], second: dict[str, str]
) -> None:
    old_id = partial(hubspot)
    (one, other) = (replay(old_id, query)[2] for query in (first, second))

    assert one["Outcome-Id"] != other["Outcome-Id"]
    assert "Idempotency-Replayed" not in other
    assert read(old_id).replayed_by == other["Outcome-Id"]
    assert {read(made["Outcome-Id"]).replay_of for made in (one, other)} == {old_id}
    # And each is made once.
    again = [replay(old_id, query)[2]["Outcome-Id"] for query in (first, second)]
    assert again == [one["Outcome-Id"], other["Outcome-Id"]]


def test_another_replay_for_other_inputs_is_refused_and_says_what_to_replay_instead(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock
) -> None:
    old_id = partial(hubspot)
    # In older versions a replay of all had the same id as one of what is left.
    left = as_request(read(old_id), "crm", clock(), everything=False)
    of_all = as_request(read(old_id), "crm", clock(), everything=True)
    production.ledger().accept(changed(of_all, own_id=left.id), clock())
    before = read(left.id)

    message = not_replayable(replay(old_id))

    assert message == f"it was replayed before, for other inputs: replay outcome {left.id} instead."
    assert read(left.id) == before
    assert read(old_id).replayed_by is None


def test_a_replay_of_a_replay_is_a_third_outcome(functions: Deployment, hubspot: FakeHubSpot) -> None:
    old_id = rejected(hubspot)
    hubspot.replies = [refuse(3)]
    second = replay(old_id)[2]["Outcome-Id"]
    deliver(functions)
    assert read(second).status is Status.PARTIAL

    third = replay(second)[2]["Outcome-Id"]

    assert len({old_id, second, third}) == 3
    assert (read(third).replay_of, [item.type_id for item in read(third).inputs]) == (second, [3])


class Ended:
    """A queue that is asked for something by a function which is ended from outside just then."""

    def hand_over(self, *_: object) -> None:
        raise KeyboardInterrupt


def test_a_replay_that_died_between_its_steps_is_mended_by_asking_again(
    functions: Deployment, hubspot: FakeHubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: object) -> None:
        raise KeyboardInterrupt

    old_id = partial(hubspot)
    # Accepted and not linked; then linked and not sent.
    steps: list[tuple[Any, str, Any]] = [(Ledger, "link", end), (webhook, "queue", Ended)]
    for target, name, dying in steps:
        with monkeypatch.context() as patch:
            patch.setattr(target, name, dying)
            with pytest.raises(KeyboardInterrupt):
                replay(old_id)
        assert functions.messages() == []

    _, _, headers = replay(old_id)

    assert headers["Idempotency-Replayed"] == "true"
    assert read(old_id).replayed_by == headers["Outcome-Id"]
    deliver(functions)
    assert read(headers["Outcome-Id"]).status is Status.COMPLETE


def by_asking_again(old_id: str, clock: Clock) -> None:
    assert replay(old_id)[0] == 202


def by_the_sweep(old_id: str, clock: Clock) -> None:
    clock.advance(3600)
    assert sweep.handler({}, Context(time_left=60_000)) == {"swept": 1}


@pytest.mark.parametrize("mended", [by_asking_again, by_the_sweep])
def test_a_replay_that_could_not_be_queued_runs_all_the_same(
    functions: Deployment, hubspot: FakeHubSpot, clock: Clock, monkeypatch: pytest.MonkeyPatch, mended: Any
) -> None:
    old_id = partial(hubspot)
    with monkeypatch.context() as broken:
        takes_nothing(broken)
        status, body, _ = replay(old_id)
    assert (status, body["status"]) == (202, "PENDING")
    new_id = read(old_id).replayed_by or ""
    assert read(new_id).status is Status.QUEUED

    mended(old_id, clock)
    deliver(functions)

    assert read(new_id).status is Status.COMPLETE


# ------------------------------------------------------------------------------------------------- what is not replayed
def test_what_is_complete_has_nothing_left(functions: Deployment, hubspot: FakeHubSpot) -> None:
    old_id = complete(hubspot)

    message = not_replayable(replay(old_id))

    assert message == f"nothing of outcome {old_id} is left to do; with ?all=true all of it is sent again."
    assert read(old_id).replayed_by is None


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING, Status.DEFERRED])
def test_what_is_not_over_is_409(functions: Deployment, hubspot: FakeHubSpot, clock: Clock, status: Status) -> None:
    asked = request("m-1", (3, 5))
    if status is Status.QUEUED:
        production.ledger().accept(asked, clock())
    elif status is Status.RUNNING:
        production.ledger().claim(asked, "worker", clock(), clock() + timedelta(seconds=45))
    else:
        hubspot.replies = [failed(429)]
        consume({"body": envelope((3, 5)), "messageId": "m-1"})

    for query in ({}, {"all": "true"}):
        assert f"outcome m-1 is {status}" in not_replayable(replay("m-1", query))
    assert read("m-1").status is status


def test_what_was_no_request_is_409(functions: Deployment) -> None:
    consume({"body": "not json"})

    assert "send a corrected one" in not_replayable(replay("message-0"))


@pytest.mark.parametrize("outcome_id", ["none", "%20", "a" * 2049])
def test_what_is_no_outcome_is_404(functions: Deployment, outcome_id: str) -> None:
    assert replay(outcome_id)[0] == 404


def test_another_portals_outcome_is_as_unknown_as_none(functions: Deployment, hubspot: FakeHubSpot) -> None:
    old_id = partial(hubspot)

    status, body, _ = replay(old_id, who="sales")

    assert (status, body["message"]) == (404, f"there is no outcome {old_id}")
    assert read(old_id).replayed_by is None
    assert functions.messages() == []


def test_a_replay_needs_a_key(functions: Deployment, hubspot: FakeHubSpot) -> None:
    assert replay(partial(hubspot), who="nobody")[0] == 401


@pytest.mark.parametrize(
    ("query", "field"), [({"all": "perhaps"}, "all"), ({"all": ""}, "all"), ({"every": "true"}, "every")]
)
def test_a_wrong_query_is_explained_and_replays_nothing(
    functions: Deployment, hubspot: FakeHubSpot, query: dict[str, str], field: str
) -> None:
    old_id = partial(hubspot)

    status, body, _ = replay(old_id, query)

    assert status == 400
    assert [problem["in"] for problem in body["errors"]] == [field]
    assert read(old_id).replayed_by is None


def test_all_can_be_denied(functions: Deployment, hubspot: FakeHubSpot) -> None:
    _, _, headers = replay(partial(hubspot), {"all": "false"})

    assert [item.type_id for item in read(headers["Outcome-Id"]).inputs] == [4]
