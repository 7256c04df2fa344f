"""Who sent a request: a client with its key or as an IAM role, or HubSpot itself with its signature."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from api.clients import HUBSPOT, Client, Clients, parse
from api.hubspot_signature import SIGNATURE, TIME, is_signed, is_timely, queries
from api.request import body_of
from runtime.redaction import remember
from tokens.credentials import app_secret

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

    from aws.secrets_manager import SecretStore
    from ledger.client_rates import ClientRates
    from runtime.settings import Settings
    from tokens.portals import Portals

# One message for all portals, so that it shows neither which of them exist nor which have an app.
NOT_SIGNED = f"{SIGNATURE} is not the signature of this request under the appSecret of its portal"
NOT_NOW = f"{TIME} must be in milliseconds since 1970, and within five minutes of now"


SCHEME = "bearer"
SESSION = re.compile(r"arn:(?P<partition>aws[a-z-]*):sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/.+")
# An unknown key is looked up in Secrets Manager once in this time: new keys work soon, and guesses cost few calls.
RECHECK_AFTER = timedelta(seconds=10)


class Unauthenticated(Exception):
    """Nobody known sent this request. Its text is safe to show: it never holds the key. `reason` is for the metric."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TooManyRequests(Exception):
    """The client is known, and has asked too often. It may ask again in `seconds`."""

    def __init__(self, client: str, most: int, seconds: int) -> None:
        super().__init__(f"the client {client} may send {most} requests a minute, and has")
        self.seconds = seconds


class Authentication:
    """Recognises callers by the secret with the clients, and HubSpot by the portals' secrets."""

    def __init__(self, settings: Settings, secrets: SecretStore, portals: Portals, rates: ClientRates) -> None:
        self._settings = settings
        self._secrets = secrets
        self._portals = portals
        self._rates = rates

    def client(self, event: APIGatewayProxyEvent, now: datetime) -> Client:
        """The client who sent this. Raises Unauthenticated, TooManyRequests, Misconfigured, Unavailable and
        LedgerUnavailable."""
        secret = self._settings.clients_secret
        if self._settings.authorization == "iam":
            client = recognise(event.request_context.identity.user_arn, self._secrets, secret, now)
        else:
            client = authenticate(event.headers.get("Authorization"), self._secrets, secret, now)
        most = client.requests_per_minute
        if most and not self._rates.admit(client.name, most, now):
            raise TooManyRequests(client.name, most, 60 - now.second)
        return client

    def sender(self, event: APIGatewayProxyEvent, portal: str, now: datetime) -> Client:
        """The client who sent this, or HubSpot, if it came without a key and is signed for that portal. Raises what
        `client` and `body_of` raise."""
        presented = event.headers.get(SIGNATURE)
        if not presented or event.headers.get("Authorization") or self._settings.authorization == "iam":
            return self.client(event, now)
        time = event.headers.get(TIME, "")
        if not is_timely(time, now):
            raise Unauthenticated("time", NOT_NOW)
        if portal in self._portals:
            body, addresses = body_of(event), self._addresses(event)
            for version in self._secrets.recent(self._portals.secret_name(portal), RECHECK_AFTER):
                secret = app_secret(version.text)
                if secret and is_signed(secret, event.http_method, addresses, body, time, presented):
                    # A repetition within its five minutes gets the first answer again, and nothing is done twice.
                    repetition = hashlib.sha256(presented.encode()).hexdigest()
                    return Client(HUBSPOT, frozenset({portal}), signed_as=repetition)
        raise Unauthenticated("signature", NOT_SIGNED)

    def _addresses(self, event: APIGatewayProxyEvent) -> list[str]:
        """The URLs to which this request may have been sent: at the public address, or at API Gateway's own."""
        context, public = event.request_context, self._settings.public_url
        if not public and not context.domain_name:
            return []
        address = public + event.path if public else f"https://{context.domain_name}{context.path}"
        return [address + query for query in queries(event.get("multiValueQueryStringParameters"))]


def authenticate(authorization: str | None, secrets: SecretStore, secret: str, now: datetime) -> Client:
    """The client whose key an Authorization header presents. Raises Unauthenticated, or Misconfigured and Unavailable
    when the secret with the clients cannot be read."""
    scheme, _, key = (authorization or "").strip().partition(" ")
    key = key.strip()
    if scheme.lower() != SCHEME or not key:
        raise Unauthenticated("missing", "send the header Authorization: Bearer <client key>")
    presented = hashlib.sha256(key.encode(errors="replace")).hexdigest().encode()

    def owner(clients: Clients) -> Client | None:
        # All hashes of all clients are compared, so that the time taken does not show how near a guess was.
        hashes = [(client, digest.encode()) for client in clients.clients for digest in client.key_sha256]
        owners = [client for client, digest in hashes if hmac.compare_digest(presented, digest)]
        return owners[0] if owners else None

    client = _known("the client key", owner, secrets, secret, now)
    remember([key])  # never an unknown key: guesses would push real ones out of the memory
    return client


def recognise(principal: str | None, secrets: SecretStore, secret: str, now: datetime) -> Client:
    """The client of an IAM role or user whose signature API Gateway has checked. Raises as `authenticate`."""
    if not principal:
        raise Unauthenticated("missing", "sign the request as an IAM role or user (AWS Signature Version 4)")
    session = SESSION.fullmatch(principal)
    arn = "arn:{partition}:iam::{account}:role/{role}".format(**session.groupdict()) if session else principal

    def owner(clients: Clients) -> Client | None:
        return next((client for client in clients.clients if arn in client.principals), None)

    return _known(f"the principal {arn}", owner, secrets, secret, now)


def _known(
    who: str, owner: Callable[[Clients], Client | None], secrets: SecretStore, secret: str, now: datetime
) -> Client:
    refusal = Unauthenticated("unknown", f"{who} is not known")
    for version in secrets.recent(secret, RECHECK_AFTER):
        if found := owner(parse(version.text, secret)):
            if found.expires_at is None or now < found.expires_at:
                return found
            refusal = Unauthenticated("expired", f"{who} has expired")
    raise refusal
