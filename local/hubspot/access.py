"""Who may call, and how often: bearer tokens and HubSpot's two limits on calls."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from infra.checks import Number
from local.hubspot.answers import (
    EXAMPLE_SCOPES,
    ContextForm,
    Policy,
    expired_token,
    missing_scopes,
    timestamp,
    unknown_token,
)
from local.hubspot.settings import ControlRecord, Settings
from model.validation import Each, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WINDOW_SECONDS = 10
DAY_SECONDS = 24 * 60 * 60

# HubSpot asks clients to allow for 512 characters.
Secret = Annotated[str, Text(r"^[\x21-\x7e]{1,512}$")]


@dataclass(frozen=True, kw_only=True)
class Token(ControlRecord):
    """A bearer token: a name to speak of it by, the account it belongs to, and what HubSpot makes of it."""

    name: Annotated[str, Text(least=1, most=100)]
    token: Secret = field(repr=False)
    hub_id: Annotated[int, Number(1)] = 1
    state: Literal["valid", "unknown", "expired", "missingScope"] = "valid"
    missing_scopes: Annotated[tuple[str, ...], Each(Text(), 1)] = EXAMPLE_SCOPES

    def described(self) -> dict[str, Any]:
        """Everything but the token itself."""
        return {name: value for name, value in self.as_json().items() if name != "token"}

    @property
    def app(self) -> str:
        """Whose calls in ten seconds are counted together with this token's."""
        return self.name

    def has_expired(self, moment: float) -> bool:
        """Whether HubSpot takes it for expired at `moment` (epoch seconds)."""
        return self.state == "expired"


@dataclass(frozen=True, kw_only=True)
class IssuedToken(Token):
    """An access token that an OAuth app got for its refresh token, valid until `expires_at` (epoch seconds)."""

    client_id: str
    expires_at: float

    def described(self) -> dict[str, Any]:
        """Everything but the token itself."""
        return super().described() | {"expiresAt": timestamp(self.expires_at)}

    @property
    def app(self) -> str:
        """The OAuth app: a new token does not give it a new quota."""
        return f"oauth-{self.client_id}"

    def has_expired(self, moment: float) -> bool:
        """Whether its time is over, at `moment` (epoch seconds)."""
        return super().has_expired(moment) or moment >= self.expires_at


class Tokens:
    """The tokens HubSpot has given out, no two of one name and no two alike."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self._by_name: dict[str, Token] = {}
        self._by_text: dict[str, Token] = {}
        for token in tokens:
            self.add(token)

    def __iter__(self) -> Iterator[Token]:
        return iter(self._by_name.values())

    def add(self, token: Token) -> None:
        """Add a token, or replace the one of its name. Raises ValueError if another name has the token."""
        if self._by_text.get(token.token, token).name != token.name:
            raise ValueError("another name already has this token")
        former = self._by_name.get(token.name)
        if former:
            del self._by_text[former.token]
        self._by_name[token.name] = self._by_text[token.token] = token

    def forget(self, token: Token) -> None:
        """Forget a token, unless another has taken its name since."""
        if self._by_name.get(token.name) is token:
            del self._by_name[token.name], self._by_text[token.token]

    def named_by(self, authorization: str) -> Token | None:
        """The token in an Authorization header, whatever its state; None when it was never given out."""
        scheme, _, written = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        return self._by_text.get(written.strip())


def admit(token: Token | None, moment: float) -> Token:
    """The token if HubSpot knows it at `moment` (epoch seconds). Raises HubSpotError: 401 unknown or expired."""
    if token is None or token.state == "unknown":
        raise unknown_token()
    if token.has_expired(moment):
        raise expired_token()
    return token


def require_scopes(token: Token, context: ContextForm) -> None:
    """Raises HubSpotError: 403 where the token lacks the scopes of the operations on associations."""
    if token.state == "missingScope":
        raise missing_scopes(token.missing_scopes, context)


class CallQuota:
    """Counts calls: per app in ten rolling seconds, and per account in its calendar day.

    A token is an app of its own, unless it was issued to an OAuth app.
    """

    def __init__(self) -> None:
        self._recent: dict[str, deque[float]] = {}
        self._daily: Counter[tuple[int, int]] = Counter()

    def take(self, token: Token, moment: float, settings: Settings) -> Policy | None:
        """Count a call at `moment` (epoch seconds), or return the policy that refuses it, uncounted."""
        day = self._day(token, moment, settings)
        if self._daily[day] >= settings.daily_limit:
            return "DAILY"
        recent = self._window(token, moment)
        if settings.ten_secondly_limit is not None and len(recent) >= settings.ten_secondly_limit:
            return "TEN_SECONDLY_ROLLING"
        self._daily[day] += 1
        recent.append(moment)
        return None

    def headers(self, token: Token, moment: float, settings: Settings) -> dict[str, str]:
        """The X-HubSpot-RateLimit-* headers as they stand after the calls counted so far."""
        if settings.rate_limit_headers == "omit":
            return {}
        used_today = self._daily[self._day(token, moment, settings)]
        headers = {
            "X-HubSpot-RateLimit-Daily": str(settings.daily_limit),
            "X-HubSpot-RateLimit-Daily-Remaining": str(max(0, settings.daily_limit - used_today)),
        }
        if settings.ten_secondly_limit is None:
            return headers
        remaining = settings.ten_secondly_limit - len(self._window(token, moment))
        return headers | {
            "X-HubSpot-RateLimit-Interval-Milliseconds": str(WINDOW_SECONDS * 1000),
            "X-HubSpot-RateLimit-Max": str(settings.ten_secondly_limit),
            "X-HubSpot-RateLimit-Remaining": str(max(0, remaining)),
        }

    def _window(self, token: Token, moment: float) -> deque[float]:
        recent = self._recent.setdefault(token.app, deque())
        while recent and recent[0] <= moment - WINDOW_SECONDS:
            recent.popleft()
        return recent

    def _day(self, token: Token, moment: float, settings: Settings) -> tuple[int, int]:
        return token.hub_id, int((moment + settings.utc_offset_minutes * 60) // DAY_SECONDS)
