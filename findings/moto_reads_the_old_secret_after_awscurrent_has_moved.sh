#!/bin/sh
# moto 5.2.5: a secret is written in two steps, PutSecretValue with a label of one's own and then UpdateSecretVersionStage,
# which moves AWSCURRENT to the new version (the way to write only if nobody else has written). After that moto's
# GetSecretValue without a VersionStage still gives the old value, though DescribeSecret shows AWSCURRENT at the new
# version, and a read that names AWSCURRENT gives the new one. Secrets Manager's API reference says of GetSecretValue that
# without a stage and an id it returns the version AWSCURRENT. A test that reads as most programs read sees no change.
# Seen on 2026-11-28, Python 3.13.0:
#   without a stage: first
#   AWSCURRENT: second
#   AWSCURRENT is at the new version: True
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install 'moto[secretsmanager]==5.2.5'
"$folder/venv/bin/python" - <<'PROGRAM' | tee "$folder/seen"
import os

os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}

import boto3
from moto import mock_aws

with mock_aws():
    client = boto3.client("secretsmanager")
    old = client.create_secret(Name="secret", SecretString="first")["VersionId"]
    new = client.put_secret_value(SecretId="secret", SecretString="second", VersionStages=["NEXT"])["VersionId"]
    client.update_secret_version_stage(
        SecretId="secret", VersionStage="AWSCURRENT", MoveToVersionId=new, RemoveFromVersionId=old
    )
    print("without a stage:", client.get_secret_value(SecretId="secret")["SecretString"])
    print("AWSCURRENT:", client.get_secret_value(SecretId="secret", VersionStage="AWSCURRENT")["SecretString"])
    stages = client.describe_secret(SecretId="secret")["VersionIdsToStages"]
    print("AWSCURRENT is at the new version:", "AWSCURRENT" in stages[new] and "AWSCURRENT" not in stages[old])
PROGRAM
diff "$folder/seen" - <<'EXPECTED'
without a stage: first
AWSCURRENT: second
AWSCURRENT is at the new version: True
EXPECTED
