"""What waits for longer than SQS delays a message: in the ledger alone, and run by the dispatcher when it is due."""

from __future__ import annotations

from typing import Any

from tests.e2e.deployed import LocalStack

FACTS = {"fromObjectType": "tickets", "toObjectType": "companies"}
PAST = "2026-01-01T00:00:00.000Z"


def due_now(local: LocalStack, item_id: str, sort: str, **also: str) -> None:
    """Let the time come that an item waits for."""
    values = {":sort": {"S": sort}, **{f":{name}": {"S": value} for name, value in also.items()}}
    local.aws("dynamodb").update_item(
        TableName=local["outcomesTable"],
        Key={"id": {"S": item_id}},
        UpdateExpression=", ".join(["SET dueSort = :sort", *(f"{name} = :{name}" for name in also)]),
        ConditionExpression="attribute_exists(dueSort)",
        ExpressionAttributeValues=values,
    )


def test_what_waits_in_the_ledger_is_run_when_it_is_due(local: LocalStack) -> None:
    moved: dict[str, Any] = {"kind": "status", "status": 477, "retryAfterSeconds": 3600}
    local.standin("POST", "faults", {"operation": "create", "times": 1, "effect": moved})
    limit = {"category": "HUBSPOT_DEFINED", "typeId": 339, "maxToObjectIds": 8}
    outcome_id = local.send({**FACTS, "inputs": [limit]})

    local.drained()
    waiting = local.outcome(outcome_id)
    assert waiting is not None
    assert (waiting["status"], "parked" in waiting) == ("DEFERRED", False)  # which is for nobody to know

    due_now(local, outcome_id, f"tickets#companies#{PAST}#{outcome_id}", retryAt=PAST)
    due_now(local, "gate#default", f"{PAST}#gate#default")
    local.aws("lambda").invoke(FunctionName=local.function("dispatcher.handler")["FunctionName"])

    assert local.final(outcome_id)["status"] == "COMPLETE"
    assert local.limits("tickets", "companies")["HUBSPOT_DEFINED", 339] == 8
    local.drained()
