"""The credentials in a portal's secret, when to refresh its access token, and what to store then. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from model.access_token import AccessToken

# Before the end of a token that lives for half an hour, as HubSpot's do. For a shorter life it is half of that.
LONGEST_MARGIN = timedelta(minutes=5)
LEAST_LEFT = timedelta(seconds=5)  # in which a token still reaches HubSpot while it is valid
OAUTH = ("clientId", "clientSecret", "refreshToken")
HOW = "store the token as plain text, or JSON with accessToken or, for OAuth, with clientId, clientSecret, refreshToken"


class Unusable(Exception):
    """A secret without usable credentials. The message names what is wrong, and shows nothing of the secret."""


@dataclass(frozen=True, repr=False)
class OAuth:
    """What an OAuth app refreshes its access token with."""

    client_id: str
    client_secret: str
    refresh_token: str


@dataclass(frozen=True, repr=False)
class Credentials:
    """What is in one version of a secret. Without `oauth` the token is static; without `expires_at` it is good until
    HubSpot refuses it. `document` is the JSON it was read from. `ended` where the owner has ended the portal. `zone` is
    the account's."""

    version: str
    access_token: str
    document: Mapping[str, Any]
    oauth: OAuth | None = None
    expires_at: datetime | None = None
    margin: timedelta = LONGEST_MARGIN
    hub_id: int | None = None
    ended: bool = False
    zone: ZoneInfo | None = None

    @property
    def identity(self) -> tuple[object, ...]:
        """What decides which account the token belongs to, and which it should belong to."""
        app = self.oauth
        return (self.hub_id, app.client_id, app.refresh_token) if app else (self.hub_id, self.access_token)

    def serves(self, now: datetime, refused: str | None = None) -> bool:
        """Whether to use the token as it is; `refused` is one that HubSpot has refused."""
        return self.oauth is None or self._valid(now, self.margin, refused)  # without an app there is no other

    def lasts(self, now: datetime, refused: str | None = None) -> bool:
        """Whether the token can be used where a better one cannot be had."""
        return self.serves(now, refused) or self._valid(now, LEAST_LEFT, refused)

    @property
    def text(self) -> str:
        """What is stored of credentials that are JSON."""
        return json.dumps(self.document)

    @property
    def grant(self) -> str:
        """A digest of what the owner, or HubSpot, has put into the secret: an access token that a refresh brought
        belongs to it, and no longer to what comes after it."""
        app = self.oauth
        parts = (app.client_id, app.refresh_token, _text(self.document, "accessToken")) if app else ()
        return sha256(json.dumps(parts).encode()).hexdigest()

    def having(self, token: AccessToken | None) -> Credentials:
        """These credentials with the access token of a refresh, if it belongs to them."""
        if token is None or self.grant not in token.grants:
            return self
        return replace(self, access_token=token.text, expires_at=token.ends_at, margin=_margin(token.life))

    def renewed(self, refresh_token: str) -> Credentials:
        """The credentials with another refresh token. The document's other fields stay."""
        return parse(json.dumps({**self.document, "refreshToken": refresh_token}), self.version)

    def _valid(self, now: datetime, margin: timedelta, refused: str | None) -> bool:
        if not self.access_token or self.access_token == refused:
            return False
        return self.expires_at is None or now + margin < self.expires_at


def parse(text: str, version: str) -> Credentials:
    """The credentials in a version of a secret: the plain token, or JSON. Raises Unusable with all that is wrong."""
    text = text.strip()  # a line end comes along when a token is stored from a file
    document = _document(text)
    if document is None:
        if not _usable(text):
            raise Unusable(HOW)
        return Credentials(version, text, {})
    if _is_ended(document):
        return Credentials(version, "", document, ended=True)
    wrong = []
    hub_id = document.get("hubId")
    if hub_id is not None and (not isinstance(hub_id, int) or isinstance(hub_id, bool)):
        wrong.append("hubId must be a whole number")
    zone = _zone(document.get("timeZone"))
    if zone is None and document.get("timeZone") is not None:
        wrong.append("timeZone must be an IANA name such as Europe/Berlin")
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
    return Credentials(
        version, token, document, oauth, expires_at, _margin(document.get("expiresIn")), hub_id, zone=zone
    )


def app_secret(text: str) -> str:
    """The secret that HubSpot signs requests of the portal's app with, or "" where there is none. It is not an OAuth
    app's clientSecret: an app of many portals has the same one for all of them."""
    return _text(_document(text.strip()) or {}, "appSecret")


def is_ended(text: str) -> bool:
    """Whether a portal's owner has ended it."""
    return _is_ended(_document(text.strip()) or {})


def _is_ended(document: Mapping[str, Any]) -> bool:
    return str(document.get("ended")).lower() == "true"  # the console's editor of keys and values makes it text


def _document(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        document: dict[str, Any] = json.loads(text)
    except ValueError:
        return {}  # and not an exception: its context would hold the text
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


def _zone(name: object) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if isinstance(name, str) and name else None
    except (ValueError, LookupError, OSError):
        return None


def _margin(life: object) -> timedelta:
    if isinstance(life, int) and not isinstance(life, bool) and 0 <= life < 2 * LONGEST_MARGIN.total_seconds():
        return timedelta(seconds=life / 2)
    return LONGEST_MARGIN
