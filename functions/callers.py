"""Who sent a request: a client with its key or as an IAM role, or HubSpot itself with its signature."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from batch_create.credentials import app_secret
from batch_create.ports import now, rates, secret_store, settings
from clients import ASKED_LATELY, HUBSPOT, Client, TooManyRequests, Unauthenticated, authenticate, recognise
from incoming import body_of
from signature import SIGNATURE, TIME, is_signed, is_timely, queries

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

# One sentence for all, so that it tells neither which portals there are nor which of them have an app.
NOT_SIGNED = f"{SIGNATURE} is not the signature of this request under the appSecret of its portal"
NOT_NOW = f"{TIME} must be in milliseconds since 1970, and within five minutes of now"


def client_of(event: APIGatewayProxyEvent) -> Client:
    """The client who sent this. Raises Unauthenticated, TooManyRequests, Misconfigured, Unavailable and
    LedgerUnavailable."""
    known, moment = settings(), now()
    if known.authorization == "iam":
        client = recognise(event.request_context.identity.user_arn, secret_store(), known.clients_secret, moment)
    else:
        client = authenticate(event.headers.get("Authorization"), secret_store(), known.clients_secret, moment)
    most = client.requests_per_minute
    if most and not rates().admit(client.name, most, moment):
        raise TooManyRequests(client.name, most, 60 - moment.second)
    return client


def sender_of(event: APIGatewayProxyEvent, portal: str) -> Client:
    """The client who sent this, or HubSpot, where it came without a key and is signed for that portal.

    Raises what `client_of` and `body_of` raise.
    """
    presented = event.headers.get(SIGNATURE)
    if not presented or event.headers.get("Authorization") or settings().authorization == "iam":
        return client_of(event)
    time = event.headers.get(TIME, "")
    if not is_timely(time, now()):
        raise Unauthenticated("time", NOT_NOW)
    if portal in settings().portals:  # else its name would be that of any secret
        body, addresses = body_of(event), _addresses(event)
        for version in secret_store().recent(f"{settings().token_secret_prefix}/{portal}", ASKED_LATELY):
            secret = app_secret(version)
            if secret and is_signed(secret, event.http_method, addresses, body, time, presented):
                # Whoever repeats it within its five minutes gets the first answer again, and nothing is done twice.
                repetition = hashlib.sha256(presented.encode()).hexdigest()
                return Client(HUBSPOT, frozenset({portal}), signed_as=repetition)
    raise Unauthenticated("signature", NOT_SIGNED)


def _addresses(event: APIGatewayProxyEvent) -> list[str]:
    """The URLs by which this request may have been sent: at the public address, or at API Gateway's own one."""
    context, public = event.request_context, settings().public_url
    if not public and not context.domain_name:
        return []
    address = public + event.path if public else f"https://{context.domain_name}{context.path}"
    return [address + query for query in queries(event.get("multiValueQueryStringParameters"))]
