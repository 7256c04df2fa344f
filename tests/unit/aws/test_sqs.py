"""Requests on their way into the queue, and messages that must wait in it."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws.sqs import Carried, Queue
from model.errors import QueueUnavailable
from model.pair import Pair
from tests.support.aws import Deployment
from tests.support.fakes import START, request


class Recorder:
    """Stands for SQS and remembers what it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: dict[str, Any] = {}
        self._error = error

    def _take(self, **arguments: Any) -> dict[str, Any]:
        self.asked = arguments
        if self._error:
            raise self._error
        return {}

    send_message = send_message_batch = change_message_visibility_batch = _take


@pytest.mark.parametrize(
    ("not_before", "delay"),
    [
        (None, 0),
        (START - timedelta(seconds=5), 0),
        (START + timedelta(seconds=1.2), 2),
        (START + timedelta(seconds=900), 900),
        (START + timedelta(days=1), 900),
    ],
)
def test_a_delay_is_rounded_up_and_within_what_sqs_can(not_before: datetime | None, delay: int) -> None:
    sqs: Any = Recorder()

    Queue(sqs, "url").hand_over([Carried(request("m-1", (3, 5)), not_before or START, 0)], START)

    (sent,) = sqs.asked["Entries"]
    assert sent["DelaySeconds"] == delay


@pytest.mark.parametrize(
    ("until", "hidden"),
    [
        (START - timedelta(seconds=5), 0),
        (START + timedelta(seconds=1.2), 2),
        (START + timedelta(hours=11), 39_600),
        (START + timedelta(days=1), 42_000),
    ],
)
def test_a_message_is_hidden_until_then_or_for_what_is_left_of_sqs_12_hours(until: datetime, hidden: int) -> None:
    sqs: Any = Recorder()

    Queue(sqs, "url").postpone({"handle": until}, START)

    assert sqs.asked["Entries"] == [{"Id": "0", "ReceiptHandle": "handle", "VisibilityTimeout": hidden}]
    assert hidden + 15 * 60 <= 43_200  # from the receipt on, which may be a whole invocation ago


def test_many_messages_are_postponed_ten_at_a_time_and_one_that_fails_keeps_none_of_the_others(
    deployment: Deployment,
) -> None:
    queue = Queue(deployment.sqs, deployment.queue_url)
    for number in range(12):
        queue.send(request(f"m-{number}", (3, 5)))
    receive = partial(deployment.sqs.receive_message, QueueUrl=deployment.queue_url, MaxNumberOfMessages=10)
    received = [message["ReceiptHandle"] for _ in range(2) for message in receive()["Messages"]]
    waiting = dict.fromkeys(["unknown", *received], START + timedelta(hours=1))

    with pytest.raises(QueueUnavailable, match="1 messages could not be postponed"):
        queue.postpone(waiting, START)

    assert len(received) == 12
    hidden = deployment.sqs.get_queue_attributes(QueueUrl=deployment.queue_url, AttributeNames=["All"])["Attributes"]
    assert hidden["ApproximateNumberOfMessagesNotVisible"] == "12"


def test_requests_are_sent_on_ten_at_a_time_each_under_its_outcomes_id_and_to_its_time(deployment: Deployment) -> None:
    queue = Queue(deployment.sqs, deployment.queue_url)
    asked = [Carried(request(f"m-{number}", (3, 5)), START, number) for number in range(12)]

    assert queue.hand_over(asked, START) == [True] * 12

    take: Any = {"QueueUrl": deployment.queue_url, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]}
    received = [message for _ in range(2) for message in deployment.sqs.receive_message(**take)["Messages"]]
    names = [message["MessageAttributes"]["OutcomeId"]["StringValue"] for message in received]
    assert sorted(names) == sorted(f"m-{number}" for number in range(12))
    claims = [message["MessageAttributes"]["Claims"]["StringValue"] for message in received]
    assert sorted(claims, key=int) == [str(number) for number in range(12)]


def test_of_requests_that_are_sent_together_each_has_its_own_delay_and_group() -> None:
    sqs: Any = Recorder()
    later = START + timedelta(minutes=3)

    Queue(sqs, "url").hand_over(
        [Carried(request("m-1", (3, 5)), START, 0), Carried(request("m-2", (3, 5), portal="acme"), later, 0)], START
    )

    told = [(each["Id"], each["DelaySeconds"], each["MessageGroupId"]) for each in sqs.asked["Entries"]]
    assert told == [("0", 0, "default"), ("1", 180, "acme")]


def test_large_requests_are_sent_in_calls_that_sqs_takes() -> None:
    sqs: Any = Recorder()
    sizes: list[list[int]] = []

    def take(**asked: Any) -> dict[str, Any]:
        sizes.append([len(each["MessageBody"].encode()) for each in asked["Entries"]])
        return {"Successful": [{"Id": each["Id"]} for each in asked["Entries"]]}

    sqs.send_message_batch = take
    large = request("m-1", *((number, 999_999) for number in range(100_001, 100_501)))

    assert Queue(sqs, "url").hand_over([Carried(large, START, 0)] * 20, START) == [True] * 20

    assert max(map(sum, sizes)) <= 262_144
    assert [len(each) for each in sizes] == [7, 7, 6]


def test_what_sqs_does_not_take_is_told() -> None:
    sqs: Any = Recorder()
    sqs.send_message_batch = lambda **_: {"Successful": [{"Id": "1"}], "Failed": [{"Id": "0", "Code": "InternalError"}]}
    broken: Any = Recorder(ClientError({"Error": {"Code": "InternalError"}}, "SendMessageBatch"))
    asked = [Carried(request(f"m-{number}", (3, 5)), START, 0) for number in range(2)]

    assert Queue(sqs, "url").hand_over(asked, START) == [False, True]
    assert Queue(broken, "url").hand_over(asked, START) == [False, False]


def test_a_request_is_queued_in_its_portals_group_so_that_sqs_is_fair_between_portals() -> None:
    sqs: Any = Recorder()

    Queue(sqs, "url").send(request("m-1", (3, 5), portal="acme"))

    assert sqs.asked["MessageGroupId"] == "acme"


def test_a_sent_request_names_its_outcome_and_leaves_its_key_behind(deployment: Deployment) -> None:
    asked = request("m-1", (3, 5), idempotencyKey="k", requestedBy="me")

    Queue(deployment.sqs, deployment.queue_url).send(asked)

    (message,) = deployment.messages()
    assert message["MessageAttributes"]["OutcomeId"] == {"StringValue": asked.id, "DataType": "String"}
    assert message["Body"] == (
        '{"portal":"default","fromObjectType":"deals","toObjectType":"contacts",'
        '"inputs":[{"category":"HUBSPOT_DEFINED","typeId":3,"maxToObjectIds":5}],"requestedBy":"me"}'
    )


def test_a_queue_that_cannot_be_reached_is_said_to_be() -> None:
    sqs: Any = Recorder(ClientError({"Error": {"Code": "InternalError"}}, "SendMessage"))
    broken = Queue(sqs, "url")

    with pytest.raises(QueueUnavailable):
        broken.send(request("m-1", (3, 5)))
    with pytest.raises(QueueUnavailable):
        broken.postpone({"handle": START}, START)


def test_a_pair_to_be_verified_is_in_an_attribute_and_fair_to_other_portals() -> None:
    sqs: Any = Recorder()

    Queue(sqs, "url").send_verification("acme", Pair("0-3", "2-9"))

    assert sqs.asked["MessageAttributes"] == {"Verify": {"DataType": "String", "StringValue": "acme#0-3#2-9"}}
    assert (sqs.asked["MessageGroupId"], sqs.asked["DelaySeconds"]) == ("acme", 0)


def test_a_verification_that_cannot_be_queued_is_said_so() -> None:
    refused: Any = {"Error": {"Code": "Throttled"}}
    sqs: Any = Recorder(ClientError(refused, "SendMessage"))

    with pytest.raises(QueueUnavailable):
        Queue(sqs, "url").send_verification("acme", Pair("0-3", "2-9"))
