"""What the benchmark compares with is installed from its lock, and nothing else of it."""

from __future__ import annotations

from bench.environment import REQUIREMENTS
from bench.target import subset

LOCK = """\
# made by make lock
boto3==1.0 \\
    --hash=sha256:aa
    # via -r bench/requirements.in
botocore==1.1 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
    # via
    #   -r functions/requirements.in
    #   boto3
hubspot-sdk==0.1
    # via -r bench/requirements.in
urllib3==2.0 ; python_version > "3" \\
    --hash=sha256:dd
    # via
    #   botocore
    #   other
"""


def test_a_package_comes_with_all_that_it_needs_and_with_hashes() -> None:
    entries = subset(LOCK, ["boto3"])

    assert [entry.split("==")[0] for entry in entries] == ["boto3", "botocore", "urllib3"]
    assert "--hash=sha256:bb" in entries[1]
    assert "--hash=sha256:cc" in entries[1]


def test_the_lock_has_what_the_handlers_on_the_sdks_need() -> None:
    names = [entry.split("==")[0] for entry in subset(REQUIREMENTS.read_text(encoding="utf-8"), ["hubspot-sdk"])]

    assert {"hubspot-sdk", "httpx", "pydantic", "pydantic-core", "certifi"} <= set(names)
    assert "boto3" not in names
    assert "requests" not in names
