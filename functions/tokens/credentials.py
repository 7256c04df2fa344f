"""What the secret of a portal holds, when its access token is to be refreshed, and what is stored then. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from model.access_token import RefreshedToken
from model.records import iso

# Of a token that lives for half an hour, as HubSpot's do; one that lives for seconds must not always be at its end.
LONGEST_MARGIN = timedelta(minutes=5)
# A token that lasts so long still reaches HubSpot while it is valid.
LEAST_LEFT = timedelta(seconds=5)
OAUTH = ("clientId", "clientSecret", "refreshToken")
HOW = "store the token as plain text, or JSON with accessToken or, for OAuth, with clientId, clientSecret, refreshToken"


class Unusable(Exception):
    """A secret without usable credentials. Its text names what is wrong, and shows nothing of the secret."""


@dataclass(frozen=True, repr=False)
class OAuth:
    """The three by which an OAuth app refreshes its access token."""

    client_id: str
    client_secret: str
    refresh_token: str


@dataclass(frozen=True, repr=False)
class Credentials:
    """What one version of a secret says. Without `oauth` the token is static; without `expires_at` it is good until
    HubSpot refuses it. `document` is the JSON it was read from."""

    version: str
    access_token: str
    document: Mapping[str, Any]
    oauth: OAuth | None = None
    expires_at: datetime | None = None
    margin: timedelta = LONGEST_MARGIN
    hub_id: int | None = None

    @property
    def identity(self) -> tuple[object, ...]:
        """What decides of which account the token is, and of which it should be."""
        if self.oauth:
            return (self.hub_id, self.oauth.client_id, self.oauth.refresh_token)
        return (self.hub_id, self.access_token)

    def serves(self, now: datetime, refused: str | None = None) -> bool:
        """Whether the token is to be used as it is; `refused` is one that HubSpot has refused."""
        if not self.oauth:
            return True  # there is no other
        return self._valid(now, self.margin, refused)

    def lasts(self, now: datetime, refused: str | None = None) -> bool:
        """Whether the token can be used where no better one is to be had."""
        return self.serves(now, refused) or self._valid(now, LEAST_LEFT, refused)

    @property
    def text(self) -> str:
        """What is stored of credentials that are JSON."""
        return json.dumps(self.document)

    def renewed(self, refreshed: RefreshedToken, asked_at: datetime) -> Credentials:
        """These after a refresh that was asked for at that time. All in the document that is not of the token stays."""
        told: dict[str, Any] = {
            "accessToken": refreshed.access_token,
            "expiresAt": iso(asked_at + timedelta(seconds=refreshed.expires_in)),
            "expiresIn": int(refreshed.expires_in),  # by which the next reader knows the margin
        }
        if refreshed.refresh_token:
            told["refreshToken"] = refreshed.refresh_token
        return parse(json.dumps({**self.document, **told}), self.version)

    def _valid(self, now: datetime, margin: timedelta, refused: str | None) -> bool:
        if not self.access_token or self.access_token == refused:
            return False
        return self.expires_at is None or now + margin < self.expires_at


def parse(text: str, version: str) -> Credentials:
    """The credentials in a version of a secret: the plain token, or JSON. Raises Unusable, telling all that is wrong."""
    text = text.strip()  # a line end comes along when a token is stored from a file
    document = _document(text)
    if document is None:
        if not _usable(text):
            raise Unusable(HOW)
        return Credentials(version, text, {})
    wrong = []
    hub_id = document.get("hubId")
    if hub_id is not None and (not isinstance(hub_id, int) or isinstance(hub_id, bool)):
        wrong.append("hubId must be a whole number")
    token = _text(document, "accessToken")
    if all(document.get(name) is None for name in OAUTH):
        oauth, expires_at = None, None
        if not token:
            wrong.append(HOW)
    else:
        oauth = OAuth(*(_text(document, name) for name in OAUTH))
        wrong += [f"for OAuth it also needs {name}" for name in OAUTH if not _text(document, name)]
        expires_at = _moment(document.get("expiresAt"))
        if expires_at is None and document.get("expiresAt") is not None:
            wrong.append("expiresAt must be a time in ISO 8601, or in seconds since 1970")
    if wrong:
        raise Unusable("; ".join(wrong))
    return Credentials(version, token, document, oauth, expires_at, _margin(document), hub_id)


def app_secret(text: str) -> str:
    """What HubSpot signs the requests of the portal's app with, or nothing where the secret does not tell it. It is not
    an OAuth app's clientSecret: an app of many portals signs for all of them alike."""
    return _text(_document(text.strip()) or {}, "appSecret")


def _document(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        document: dict[str, Any] = json.loads(text)
    except ValueError:
        return {}  # outside of this block, as the error holds the text and would come along as a context
    return document


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    text = value.strip() if isinstance(value, str) else ""
    return text if _usable(text) else ""


def _usable(text: str) -> bool:
    # Anything else cannot be a header's value; an empty one is the placeholder that a deployment leaves.
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def _moment(value: object) -> datetime | None:
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _margin(document: Mapping[str, Any]) -> timedelta:
    life = document.get("expiresIn")
    if isinstance(life, int) and not isinstance(life, bool) and 0 <= life < 2 * LONGEST_MARGIN.total_seconds():
        return timedelta(seconds=life / 2)
    return LONGEST_MARGIN
