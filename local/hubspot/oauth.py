"""HubSpot's token endpoint: the OAuth apps it knows, and the access tokens it gives for their refresh tokens."""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import parse_qsl

from infra.checks import Number
from local.hubspot.access import IssuedToken, Secret
from local.hubspot.answers import Answer, HubSpotError
from local.hubspot.settings import ControlRecord
from model.validation import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.hubspot.access import Tokens

# Beyond so many, issued tokens that have expired are forgotten, and then are unknown instead of expired.
KEPT_ISSUED = 1_000
GRANT_TYPE = "refresh_token"


@dataclass(frozen=True, kw_only=True)
class OAuthApp(ControlRecord):
    """An app as one account has installed it."""

    client_id: Annotated[str, Text(r"^[A-Za-z0-9_-]{1,64}$")]
    client_secret: Secret = field(repr=False)
    refresh_token: Secret = field(repr=False)
    hub_id: Annotated[int, Number(1)] = 1
    # Seconds; HubSpot's access tokens live half an hour.
    expires_in: Annotated[int, Number(0, 86_400)] = 1_800
    # Whether a refresh replaces the refresh token too, the old one being refused from then on.
    rotates: bool = False
    state: Literal["valid", "badHub"] = "valid"


@dataclass(eq=False)
class GrantError(HubSpotError):
    """A refused refresh. Its category is what HubSpot sends as status, `code` the error that RFC 6749 names."""

    code: str = "invalid_grant"

    def answer(self, correlation_id: str) -> Answer:
        """The refusal in the shape of the token endpoint."""
        payload = {"status": self.category, "error": self.code, "message": self.message}
        return Answer(self.status, {**payload, "correlationId": correlation_id})


@dataclass(frozen=True)
class Grant:
    """A refresh that HubSpot accepts: the access token it gives, and the refresh token that is good from now on."""

    app: OAuthApp
    token: IssuedToken
    refresh_token: str = field(repr=False)

    def answer(self) -> Answer:
        """The answer to the app."""
        return Answer(
            200,
            {
                "access_token": self.token.token,
                "expires_in": self.app.expires_in,
                "refresh_token": self.refresh_token,
                "token_type": "bearer",
                "hub_id": self.app.hub_id,
            },
        )


class OAuth:
    """The OAuth apps by client id, each with the one refresh token that is good for it now."""

    def __init__(self, tokens: Tokens) -> None:
        """`tokens` is where access tokens become valid."""
        self._tokens = tokens
        self._apps: dict[str, OAuthApp] = {}
        self._refresh_tokens: dict[str, str] = {}
        self._issued: deque[IssuedToken] = deque()
        self._counts: Counter[str] = Counter()

    def __iter__(self) -> Iterator[OAuthApp]:
        return iter(self._apps.values())

    def add(self, app: OAuthApp) -> None:
        """Add an app, or replace the one of its client id; either way its refresh token is good."""
        self._apps[app.client_id] = app
        self._refresh_tokens[app.client_id] = app.refresh_token

    def revoke(self, client_id: str) -> OAuthApp:
        """Refuse every refresh token of an app from now on. Raises KeyError if there is no such app."""
        app = self._apps[client_id]
        self._refresh_tokens.pop(client_id, None)
        return app

    def described(self, app: OAuthApp) -> dict[str, Any]:
        """Everything of an app but its secrets."""
        public = {name: value for name, value in app.as_json().items() if name not in ("clientSecret", "refreshToken")}
        return public | {"revoked": app.client_id not in self._refresh_tokens}

    def grant(self, form: bytes, moment: float, new_id: Callable[[], str]) -> Grant:
        """What a refresh asked for at `moment` (epoch seconds) gives. Nothing has changed until it is kept.

        Raises GrantError on what is missing or wrong.
        """
        asked = _fields(form)
        if asked.get("grant_type") != GRANT_TYPE:
            raise GrantError(
                400, "BAD_GRANT_TYPE", "The grant type is missing or unknown.", code="unsupported_grant_type"
            )
        app = self._apps.get(asked.get("client_id", ""))
        if app is None:
            raise GrantError(400, "BAD_CLIENT_ID", "The client id is missing or unknown.", code="invalid_client")
        if asked.get("client_secret") != app.client_secret:
            raise GrantError(400, "BAD_CLIENT_SECRET", "The client secret is missing or wrong.", code="invalid_client")
        good = self._refresh_tokens.get(app.client_id)
        if good is None or asked.get("refresh_token") != good:
            raise GrantError(400, "BAD_REFRESH_TOKEN", "The refresh token is missing or no longer good.")
        if app.state == "badHub":
            raise GrantError(400, "BAD_HUB", f"The account {app.hub_id} is not active.")
        number = self._counts[app.client_id] + 1
        token = IssuedToken(
            name=f"oauth-{app.client_id}-{number}",
            token=f"access-{app.client_id}-{number}-{new_id()}",
            hub_id=app.hub_id,
            client_id=app.client_id,
            expires_at=moment + app.expires_in,
        )
        return Grant(app, token, f"refresh-{app.client_id}-{number}-{new_id()}" if app.rotates else good)

    def keep(self, grant: Grant, moment: float) -> None:
        """Make a grant of `moment` true: its access token is good from now on, and only its refresh token."""
        client_id = grant.app.client_id
        self._counts[client_id] += 1
        self._refresh_tokens[client_id] = grant.refresh_token
        self._tokens.add(grant.token)
        self._issued.append(grant.token)
        while len(self._issued) > KEPT_ISSUED and self._issued[0].has_expired(moment):
            self._tokens.forget(self._issued.popleft())

    def journalled(self, form: bytes) -> bytes:
        """What may be kept of a request: its grant type and client id.

        One that is not known is left out: it could be anything, a secret in the wrong place included.
        """
        asked = _fields(form)
        grant_type, client_id = asked.get("grant_type"), asked.get("client_id")
        known = {
            "grant_type": grant_type if grant_type == GRANT_TYPE else None,
            "client_id": client_id if client_id in self._apps else None,
        }
        return json.dumps(known).encode()


def _fields(form: bytes) -> dict[str, str]:
    """The fields of a body of type application/x-www-form-urlencoded; of any other body none that we know."""
    return dict(parse_qsl(form.decode(errors="replace"), keep_blank_values=True))
