"""What HubSpot answers: the shapes of success, of partial success and of every refusal."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Policy = Literal["TEN_SECONDLY_ROLLING", "DAILY"]
ContextForm = Literal["map", "string"]

# HubSpot's real list is long and changes often; these two stand for it.
EXAMPLE_SCOPES = ("crm.objects.contacts.read", "crm.objects.contacts.write")


@dataclass(frozen=True)
class Answer:
    """One HTTP answer: its JSON, or raw bytes when `content` is given; or a connection ended without one."""

    status: int
    payload: Mapping[str, object] | None = None
    content: bytes | None = None
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    dropped: Literal["", "closed", "reset"] = ""

    @property
    def body(self) -> bytes:
        """The bytes to send."""
        if self.content is not None:
            return self.content
        return b"" if self.payload is None else json.dumps(self.payload).encode()

    def with_headers(self, headers: Mapping[str, str]) -> Answer:
        """The same answer with more headers."""
        return replace(self, headers={**self.headers, **headers})


@dataclass(frozen=True)
class Problem:
    """One entry of an error body's `errors`. What is empty is left out, as HubSpot leaves it out."""

    message: str
    field: str = ""
    code: str = ""
    context: Mapping[str, object] | str = ""

    def as_json(self) -> dict[str, object]:
        """The entry as it stands in the body."""
        entry = {"message": self.message, "in": self.field, "code": self.code, "context": self.context}
        return {name: value for name, value in entry.items() if value}


@dataclass(eq=False)
class HubSpotError(Exception):
    """A refusal of the whole call."""

    status: int
    category: str
    message: str
    problems: Sequence[Problem] = ()
    policy: Policy | None = None

    def answer(self, correlation_id: str) -> Answer:
        """The refusal in HubSpot's error shape."""
        payload: dict[str, object] = {
            "status": "error",
            "message": self.message,
            "correlationId": correlation_id,
        }
        # A rate-limit body names a policy where every other body names a category.
        if self.policy:
            payload |= {"errorType": self.category, "policyName": self.policy}
        else:
            payload["category"] = self.category
        if self.problems:
            payload["errors"] = [problem.as_json() for problem in self.problems]
        return Answer(self.status, payload)


def invalid(message: str, problems: Sequence[Problem] = ()) -> HubSpotError:
    """The 400 of a call that breaks a rule."""
    return HubSpotError(400, "VALIDATION_ERROR", message, problems)


def not_found(message: str = "There is nothing at this address.") -> HubSpotError:
    """The 404 of an address where HubSpot has nothing."""
    return HubSpotError(404, "OBJECT_NOT_FOUND", message)


def wrong_method() -> HubSpotError:
    """The 405 of an address that knows other methods."""
    return HubSpotError(405, "METHOD_NOT_ALLOWED", "This address has no such method.")


def rate_limited(policy: Policy) -> HubSpotError:
    """The 429 of one of HubSpot's two policies. HubSpot documents no Retry-After for it."""
    reach = "ten-second" if policy == "TEN_SECONDLY_ROLLING" else "daily"
    return HubSpotError(429, "RATE_LIMIT", f"The {reach} limit on calls is used up.", policy=policy)


def expired_token() -> HubSpotError:
    """The 401 of an access token that has lived too long."""
    return HubSpotError(401, "EXPIRED_AUTHENTICATION", "The access token has expired.")


def unknown_token() -> HubSpotError:
    """The 401 of a token HubSpot does not know, or of none."""
    return HubSpotError(401, "INVALID_AUTHENTICATION", "The call carries no valid access token.")


def missing_scopes(scopes: Sequence[str], form: ContextForm) -> HubSpotError:
    """The 403 that names the scopes a token lacks: in a map, or in a string as in HubSpot's own sample."""
    context = {"missingScopes": list(scopes)} if form == "map" else f"{{missingScopes=[{', '.join(scopes)}]}}"
    problem = Problem("At least one of these scopes is required.", context=context)
    return HubSpotError(403, "MISSING_SCOPES", "The token lacks a scope that this call requires.", [problem])


def batch_answer(
    success_status: int,
    moment: float,
    results: Sequence[Mapping[str, object]],
    errors: Sequence[Mapping[str, object]],
) -> Answer:
    """The answer to a batch carried out at `moment` (epoch seconds): 207 when some inputs were refused."""
    at = timestamp(moment)
    payload: dict[str, object] = {
        "status": "COMPLETE",
        "startedAt": at,
        "completedAt": at,
        "results": list(results),
    }
    if not errors:
        return Answer(success_status, payload)
    return Answer(207, payload | {"errors": list(errors), "numErrors": len(errors)})


def timestamp(moment: float) -> str:
    """Epoch seconds as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
