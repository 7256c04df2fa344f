#!/bin/sh
# moto 5.2.2 with py-partiql-parser 0.6.3: an UPDATE by BatchExecuteStatement whose condition is not met changes nothing,
# which is right, and is answered as if it had been made: its response has no Error. So is the UPDATE of an item that is
# not there. DynamoDB answers such a statement with the Error ConditionalCheckFailed, as BatchStatementError in its API
# reference lists; a program that learns from it whether a write was made (a lease, a claim) finds on moto that it has
# always won. With RETURNING ALL OLD * at its end, which DynamoDB's PartiQL reference has, the same UPDATE is an
# AssertionError without a message.
# Seen on 2026-11-27, Python 3.13.0:
#   condition met: no error, and n is 2
#   condition not met: no error, and n is 2
#   no such item: no error, and there is none
#   with RETURNING: AssertionError
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install 'moto[dynamodb]==5.2.2' py-partiql-parser==0.6.3
"$folder/venv/bin/python" - <<'PROGRAM' | tee "$folder/seen"
import os

os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}

import boto3
from moto import mock_aws

UPDATE = 'UPDATE "items" SET "n" = ? WHERE "id" = ? AND "n" = ?'


def number(value):
    return {"N": str(value)}


with mock_aws():
    client = boto3.client("dynamodb")
    client.create_table(
        TableName="items",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.put_item(TableName="items", Item={"id": {"S": "one"}, "n": number(1)})

    def update(item_id, to, expected, text=UPDATE):
        parameters = [number(to), {"S": item_id}, number(expected)]
        statement = {"Statement": text, "Parameters": parameters, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        try:
            (answer,) = client.batch_execute_statement(Statements=[statement])["Responses"]
        except AssertionError as error:
            return type(error).__name__ + str(error)
        item = client.get_item(TableName="items", Key={"id": {"S": item_id}}).get("Item")
        told = answer["Error"]["Code"] if "Error" in answer else "no error"
        return f"{told}, and " + (f"n is {item['n']['N']}" if item else "there is none")

    print("condition met:", update("one", 2, 1))
    print("condition not met:", update("one", 3, 1))
    print("no such item:", update("nobody", 3, 1))
    print("with RETURNING:", update("one", 4, 2, UPDATE + " RETURNING ALL OLD *"))
PROGRAM
diff "$folder/seen" - <<'EXPECTED'
condition met: no error, and n is 2
condition not met: no error, and n is 2
no such item: no error, and there is none
with RETURNING: AssertionError
EXPECTED
