"""The AWS of the local stack: an emulator on loopback, an account of its own in it, and clients that know no other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import boto3

from local.processes import HOST, ROOT

COMMAND = [str(ROOT / ".venv/ministack/bin/ministack")]
HEALTH = "/_ministack/health"
REGION = "us-east-1"
# An access key of twelve digits is the account's number to the emulator.
ACCOUNT = "000000000000"


def isolate() -> None:
    """Make this process and its children forget any AWS account of their user, and any proxy for loopback."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        NO_PROXY=HOST,
        no_proxy=HOST,
    )


def settings(folder: Path, port: int) -> dict[str, str]:
    """The emulator's environment variables: bound to loopback, all it writes in `folder`, nothing kept when it ends."""
    return {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,  # in the addresses it makes up; `localhost` can be ::1, where nobody listens
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "LAMBDA_EXECUTOR": "local",  # worker processes, also where there is a Docker
        "LAMBDA_STRICT": "0",
        "AUTH": "false",
        "SERVICES": "",  # all
        "IOT_MTLS_ENABLED": "0",  # the two services that would listen on ports of their own
        "SFTP_ENABLED": "0",
        "USE_SSL": "0",
    }


def credentials(endpoint: str) -> dict[str, str]:
    """The environment variables by which AWS's tools know the emulator's account and no other."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }


class Aws:
    """What the local stack asks of the emulator itself."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._session = boto3.session.Session(
            aws_access_key_id=ACCOUNT, aws_secret_access_key="local", region_name=REGION
        )

    def stack(self, name: str) -> dict[str, Any] | None:
        """The description of a CloudFormation stack that is whole, or None."""
        client = self._session.client("cloudformation", endpoint_url=self.endpoint)
        summaries: list[dict[str, Any]] = client.describe_stacks()["Stacks"]
        for summary in summaries:
            if summary["StackName"] == name and summary["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
                return summary
        return None

    def outputs(self, name: str) -> dict[str, str]:
        """The outputs of a stack that was deployed."""
        stack = self.stack(name)
        assert stack is not None
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def secret(self, name: str) -> str:
        """The current text of a secret."""
        client = self._session.client("secretsmanager", endpoint_url=self.endpoint)
        return client.get_secret_value(SecretId=name)["SecretString"]

    def put_secret(self, name: str, value: str) -> None:
        """Make `value` the current version of a secret."""
        client = self._session.client("secretsmanager", endpoint_url=self.endpoint)
        client.put_secret_value(SecretId=name, SecretString=value)
