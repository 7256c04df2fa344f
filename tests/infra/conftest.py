from __future__ import annotations

import pytest

from tests.infra.bundle import BuiltBundle, build_bundle
from tests.infra.template import Synthesised


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """What cdk.json as it stands deploys."""
    return Synthesised(tmp_path_factory.mktemp("default"))


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """What a deployer gets who changed nearly everything."""
    return Synthesised(
        tmp_path_factory.mktemp("other"),
        stackName="Another",
        hubspotBaseUrl="http://127.0.0.1:8080/",
        apiVersions=["2026-09", "2026-03"],
        portals=["acme", "globex"],
        timeZones={"globex": "America/New_York", "acme": "Europe/Berlin"},
        secretPrefix="another/tokens",
        outcomeRetentionDays=30,
        readLagSeconds=60,
        giveUpAfterHours=48,
        missingSecretHours=72,
        logRetentionDays=7,
        deletionProtection=False,
        alarmEmail="ops@example.com",
        publicUrl="https://limits.example.com/api/",
        webAcl=True,
        authorization="iam",
        vpcEndpoints=["vpce-0a1b2c3d4e5f60718"],
        corsOrigin="https://admin.example.com",
        customerManagedKey=True,
        throttle={"ratePerSecond": 2.5, "burst": 7},
        batchSize=50,
        quota={"callsPer10Seconds": 190, "headRoomPercent": 12.5},
        consumer={
            "messagesPerInvocation": 10,
            "batchWindowSeconds": 0,
            "maximumConcurrency": 2,
            "timeoutSeconds": 90,
            "maxReceives": 3,
        },
        memoryMiB=1024,
        architecture="x86_64",
        schedules=[],
        logLevel="WARNING",
    )


@pytest.fixture(scope="session")
def built_bundle(tmp_path_factory: pytest.TempPathFactory) -> BuiltBundle:
    """The real assets, built for this machine's interpreter from the registry that its pip uses."""
    return build_bundle(tmp_path_factory.mktemp("bundle"))
