"""Who sent a request: a client with its key or as an IAM role, or HubSpot itself with its signature."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from api.clients import HUBSPOT, RECHECK_AFTER, Client, TooManyRequests, Unauthenticated, authenticate, recognise
from api.hubspot_signature import SIGNATURE, TIME, is_signed, is_timely, queries
from api.request import body_of
from tokens.credentials import app_secret

if TYPE_CHECKING:
    from datetime import datetime

    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

    from aws.secrets_manager import SecretStore
    from ledger.client_rates import ClientRates
    from runtime.settings import Settings

# One message for all portals, so that it shows neither which of them exist nor which have an app.
NOT_SIGNED = f"{SIGNATURE} is not the signature of this request under the appSecret of its portal"
NOT_NOW = f"{TIME} must be in milliseconds since 1970, and within five minutes of now"


class Authentication:
    """Recognises callers by the secret with the clients, and HubSpot by the portals' secrets."""

    def __init__(self, settings: Settings, secrets: SecretStore, rates: ClientRates) -> None:
        self._settings = settings
        self._secrets = secrets
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
        if portal in self._settings.portals:  # else a caller could name any secret
            body, addresses = body_of(event), self._addresses(event)
            for version in self._secrets.recent(f"{self._settings.token_secret_prefix}/{portal}", RECHECK_AFTER):
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
