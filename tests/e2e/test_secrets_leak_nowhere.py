"""After all other tests here, failures among them, no secret is in anything that they have left: its name is last."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from local.hubspot.server import DEFAULT_TOKEN
from tests.e2e.deployed import LocalStack
from tests.e2e.test_callers import APP_SECRET, NEW_TOKEN


def written(secret: str) -> set[str]:
    """The ways in which a secret may be written: plain, reversed, for URLs, and in Base64, also amid other text."""
    forms = {secret, secret[::-1], quote(secret, safe="")}
    for before in range(3):
        whole = b64encode(b"x" * before + secret.encode()).decode()
        # Without the characters that what is around it has a part in.
        forms.add(whole[4 if before else 0 : len(whole) - 4])
    return forms


@pytest.mark.parametrize("before", ["", "a", "ab", "Bearer "])
@pytest.mark.parametrize("after", ["", "z", "yz", " at the end"])
def test_a_secret_is_found_amid_other_text_in_each_of_these_ways(before: str, after: str) -> None:
    secret = "pat-eu1-0123/4567+89"
    amid = before + secret + after

    for text in (amid, amid[::-1], quote(amid, safe=""), b64encode(amid.encode()).decode()):
        assert any(form in text for form in written(secret)), text


def left_behind(local: LocalStack) -> Iterator[tuple[str, str]]:
    """Every place, by kind: log lines, the table's items, messages that wait, answers of the API, the functions'
    environments, and the template's outputs."""
    logs = local.aws("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
            for event in page["events"]:
                yield "log line", event["message"]
    for page in local.aws("dynamodb").get_paginator("scan").paginate(TableName=local["outcomesTable"]):
        for item in page["Items"]:
            yield "ledger item", json.dumps(item, default=str)
    for queue in ("queueUrl", "deadLetterQueueUrl"):
        waiting = local.aws("sqs").receive_message(QueueUrl=local[queue], MaxNumberOfMessages=10, VisibilityTimeout=0)
        for message in waiting.get("Messages", []):
            yield "message", json.dumps(message)
    for answer in local.answers:
        yield "answer", answer
    for function in local.aws("lambda").list_functions()["Functions"]:
        yield "function", json.dumps(function, default=str)
    for stack in local.aws("cloudformation").describe_stacks()["Stacks"]:
        yield "stack", json.dumps(stack, default=str)


def test_no_secret_is_anywhere_but_in_secrets_manager(local: LocalStack) -> None:
    refused = local.create("contacts", "companies", Authorization="Bearer " + local["clientKey"] + "x")
    assert refused.status_code == 401
    secrets = {"client key": local["clientKey"], "token": DEFAULT_TOKEN, "app": APP_SECRET, "new token": NEW_TOKEN}
    forms = {form: name for name, secret in secrets.items() for form in written(secret)}

    places = list(left_behind(local))
    found = [(kind, forms[form]) for kind, text in places for form in forms if form in text]

    kinds = {kind for kind, _ in places}
    print(f"canary: {len(places)} places searched for {len(forms)} forms of {len(secrets)} secrets")
    assert {"log line", "ledger item", "answer", "function", "stack"} <= kinds
    assert found == []
