"""A portal's secret and what happens to it: a scripted HubSpot for its tokens, its owner, and other workers."""

from __future__ import annotations

import itertools
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from aws.dynamodb import Table
from aws.secrets_manager import SecretStore
from hubspot_api.client import CONNECT_TIMEOUT
from model.access_token import RefreshedToken
from model.errors import HubSpotFailure, OutOfTime, Unavailable, Uncertain
from model.records import iso
from tests.support.fakes import START, Clock, FakeQuota, FakeRegistry
from tokens import oauth_refresh, store
from tokens.access_tokens import AccessTokens
from tokens.portals import Portals
from tokens.provider import TokenProvider

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient

APP = {"clientId": "client-1", "clientSecret": "shh-client", "refreshToken": "shh-refresh"}
PORTAL = "default"
DAY = timedelta(days=1)
# Of a refresh or of the question for the account: nothing that lasts.
PASSING = [
    Unavailable("words", http_status=429, body="{}", retry_after=10.0, correlation_id="c-9"),
    Unavailable("words", http_status=429, daily=True),
    Uncertain("words", http_status=503, body="{}"),
    Uncertain("words"),
]
Step = RefreshedToken | HubSpotFailure | Callable[[], RefreshedToken]


def expiring(seconds: float, **more: Any) -> dict[str, Any]:
    """An app's secret whose access token has so many seconds left."""
    return {**APP, "accessToken": "shh-old", "expiresAt": iso(START + timedelta(seconds=seconds)), **more}


@dataclass
class FakeOAuth:
    """Grants `shh-new-1`, `shh-new-2`… for half an hour, or does what the script says; every token is of `account`."""

    script: list[Step] = field(default_factory=list)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    accounts: list[int | HubSpotFailure] = field(default_factory=list)
    account: int = 7
    checked: list[str] = field(default_factory=list)
    seconds: float = 0

    def refresh(
        self, client_id: str, client_secret: str, refresh_token: str, version: str, seconds: float
    ) -> RefreshedToken:
        assert version == "2026-03"
        if seconds <= CONNECT_TIMEOUT:
            raise OutOfTime("no time was left in this invocation to call HubSpot")
        self.seconds = seconds
        self.asked.append((client_id, client_secret, refresh_token))
        step = self.script.pop(0) if self.script else RefreshedToken(f"shh-new-{len(self.asked)}", 1_800, None)
        if isinstance(step, HubSpotFailure):
            raise step
        return step if isinstance(step, RefreshedToken) else step()

    def hub_id(self, token: str, version: str, seconds: float) -> int:
        self.checked.append(token)
        said = self.accounts.pop(0) if self.accounts else self.account
        if isinstance(said, HubSpotFailure):
            raise said
        return said


class Scene:
    """A portal's secret, one worker's tokens, and what others do in between."""

    def __init__(self, client: SecretsManagerClient, table: Table, clock: Clock) -> None:
        self.client = client
        self.clock = clock
        self.prefix = uuid4().hex
        self.secret = f"{self.prefix}/{PORTAL}"
        self.oauth = FakeOAuth()
        self.registry = FakeRegistry({PORTAL: None})
        self.numbers = itertools.count()
        self.table = table
        self.quota, self.pace = FakeQuota(), FakeQuota()
        self.pauses: list[float] = []
        self.meanwhile: list[Callable[[], object]] = []  # one is done in each pause
        self.tokens = self.worker()

    def worker(self, client: Any = None, *, tokens: Any = None) -> TokenProvider:
        """Another worker, who remembers nothing."""
        store = SecretStore(client or self.client, self.clock)
        return TokenProvider(
            store,
            Portals(store, self.prefix, self.registry, self.clock, DAY),
            self.oauth,
            tokens or AccessTokens(self.table, self.clock),
            self.quota,
            self.pace,
            self.clock,
            self.sleep,
            "2026-03",
            new_id=lambda: f"holder-{next(self.numbers)}",
            jitter=lambda: 0.5,
        )

    @property
    def portals(self) -> Portals:
        """The portals as this worker knows them."""
        return self.tokens._portals

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.advance(seconds)
        if self.meanwhile:
            self.meanwhile.pop(0)()

    def put(self, secret: str | dict[str, Any], portal: str = PORTAL) -> None:
        """What an owner does. As two calls, because moto loses AWSCURRENT where both calls have moved it."""
        name = f"{self.prefix}/{portal}"
        text = secret if isinstance(secret, str) else json.dumps(secret)
        try:
            old = self.client.get_secret_value(SecretId=name, VersionStage="AWSCURRENT")["VersionId"]
        except self.client.exceptions.ResourceNotFoundException:
            self.client.create_secret(Name=name, SecretString=text)
            return
        new = self.client.put_secret_value(SecretId=name, SecretString=text, VersionStages=["OWNERS"])["VersionId"]
        self.client.update_secret_version_stage(
            SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=new, RemoveFromVersionId=old
        )

    @property
    def stored(self) -> dict[str, Any]:
        """What the secret holds now."""
        answer = self.client.get_secret_value(SecretId=self.secret, VersionStage="AWSCURRENT")
        document: dict[str, Any] = json.loads(answer["SecretString"])
        return document

    def bearer(self, *, fresh: bool = False, seconds: float = 30) -> str:
        return self.tokens.bearer(PORTAL, seconds, fresh=fresh)

    def fails(self, kind: type[HubSpotFailure], *, fresh: bool = False, seconds: float = 30) -> HubSpotFailure:
        """The failure instead of a token: of that kind, true of the portal, without anything secret or HubSpot's."""
        with pytest.raises(HubSpotFailure) as caught:
            self.bearer(fresh=fresh, seconds=seconds)
        failure = caught.value
        assert type(failure) is kind
        assert failure.portal_wide
        assert (failure.http_status, failure.body) == (None, None)
        assert "shh" not in "".join(traceback.format_exception(failure)) + repr(failure)
        return failure


Lines = list[tuple[str, dict[str, object]]]


def logged_lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """What is logged from now on, as (message, fields)."""
    lines: Lines = []

    class Log:
        def error(self, message: str, **fields: object) -> None:
            lines.append((message, fields))

        warning = error

    monkeypatch.setattr(store, "logger", Log())
    monkeypatch.setattr(oauth_refresh, "logger", Log())
    return lines
