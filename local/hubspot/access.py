"""Who may call, and how often: bearer tokens and HubSpot's two limits on calls."""

from __future__ import annotations

from collections import Counter, deque
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from local.hubspot.answers import (
    EXAMPLE_SCOPES,
    ContextForm,
    Policy,
    expired_token,
    missing_scopes,
    unknown_token,
)
from local.hubspot.settings import ControlModel, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WINDOW_SECONDS = 10


class Token(ControlModel):
    """A bearer token: a name to speak of it by, the account it belongs to, and what HubSpot makes of it."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    # HubSpot asks clients to allow for 512 characters.
    token: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,512}$", repr=False)]
    hub_id: Annotated[int, Field(ge=1)] = 1
    state: Literal["valid", "unknown", "expired", "missingScope"] = "valid"
    missing_scopes: list[str] = Field(min_length=1, default_factory=lambda: list(EXAMPLE_SCOPES))

    def described(self) -> dict[str, object]:
        """Everything but the token itself."""
        return self.model_dump(by_alias=True, exclude={"token"})


class Tokens:
    """The tokens HubSpot has given out, by name."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self._by_name = {token.name: token for token in tokens}

    def __iter__(self) -> Iterator[Token]:
        return iter(self._by_name.values())

    def add(self, token: Token) -> None:
        """Add a token, or replace the one of its name. Raises ValueError if another name has the token."""
        if any(other.token == token.token and other.name != token.name for other in self._by_name.values()):
            raise ValueError("another name already has this token")
        self._by_name[token.name] = token

    def named_by(self, authorization: str) -> Token | None:
        """The token in an Authorization header, whatever its state; None when it was never given out."""
        scheme, _, written = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        return next((token for token in self._by_name.values() if token.token == written.strip()), None)


def admit(token: Token | None, scope_context: ContextForm) -> Token:
    """The token if HubSpot accepts it. Raises HubSpotError: 401 unknown or expired, 403 lacking a scope."""
    if token is None or token.state == "unknown":
        raise unknown_token()
    if token.state == "expired":
        raise expired_token()
    if token.state == "missingScope":
        raise missing_scopes(token.missing_scopes, scope_context)
    return token


class Quota:
    """Counts calls: per app (here: per token) in ten rolling seconds, and per account in its calendar day."""

    def __init__(self) -> None:
        self._recent: dict[str, deque[float]] = {}
        self._daily: Counter[tuple[int, date]] = Counter()

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
        recent = self._recent.setdefault(token.name, deque())
        while recent and recent[0] <= moment - WINDOW_SECONDS:
            recent.popleft()
        return recent

    def _day(self, token: Token, moment: float, settings: Settings) -> tuple[int, date]:
        zone = timezone(timedelta(minutes=settings.utc_offset_minutes))
        return token.hub_id, datetime.fromtimestamp(moment, zone).date()
