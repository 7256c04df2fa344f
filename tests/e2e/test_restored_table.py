"""What docs/operations.md says of a table that is restored from a backup, on the local stack."""

from __future__ import annotations

from typing import Any

from tests.e2e.deployed import LocalStack, until

PAIR = ("tickets", "deals")
TYPE = ("HUBSPOT_DEFINED", 28)


def limit(number: int) -> dict[str, Any]:
    return {"category": TYPE[0], "typeId": TYPE[1], "maxToObjectIds": number}


def items(local: LocalStack) -> dict[str, Any]:
    """Everything in the table, by its id: as a backup keeps it."""
    pages = local.aws("dynamodb").get_paginator("scan").paginate(TableName=local["outcomesTable"])
    return {item["id"]["S"]: item for page in pages for item in page["Items"]}


def restore(local: LocalStack, backup: dict[str, Any]) -> None:
    client, table = local.aws("dynamodb"), local["outcomesTable"]
    for item_id in items(local).keys() - backup.keys():
        client.delete_item(TableName=table, Key={"id": {"S": item_id}})
    for item in backup.values():
        client.put_item(TableName=table, Item=item)


def test_a_restored_register_knows_nothing_that_was_applied_since_the_backup(local: LocalStack) -> None:
    moving = {"kind": "status", "status": 477, "retryAfterSeconds": 20}
    pair = {"fromObjectType": PAIR[0], "toObjectType": PAIR[1]}
    local.standin("POST", "faults", {"operation": "create", **pair, "times": 1, "effect": moving})
    older = local.send({**pair, "inputs": [limit(5)]})
    until(lambda: (local.outcome(older) or {}).get("status") == "DEFERRED" or None, "the older request to be deferred")

    backup = items(local)
    younger = local.create(*PAIR, limit(9))
    assert younger.status_code == 201, str(local.outcome(younger.headers["Outcome-Id"]))
    assert local.limits(*PAIR)[TYPE] == 9
    restore(local, backup)

    # The register does not know of the younger request, and the older one is open: so it undoes it.
    assert local.final(older)["status"] == "COMPLETE"
    assert local.limits(*PAIR)[TYPE] == 5
    assert local.outcome(younger.headers["Outcome-Id"]) is None

    # What was set since the backup is asked for again, and is the youngest.
    assert local.create("0-5", "DEAL", limit(9)).status_code == 201
    assert local.limits(*PAIR)[TYPE] == 9
    local.drained()
