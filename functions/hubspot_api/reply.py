"""One HTTP answer of HubSpot's, and the failure that it may mean."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hubspot_api.retry_policy import rule
from model.errors import HubSpotFailure, Misconfigured, Uncertain
from model.hubspot_answer import ErrorBody, error_body, json_object
from model.quota import Quota
from runtime.redaction import redact


@dataclass(frozen=True)
class Reply:
    """An answer as it came."""

    status: int
    text: str = field(repr=False)
    headers: Mapping[str, str]

    def without(self, secrets: Collection[str]) -> Reply:
        """The answer with these secrets taken out of its text."""
        return replace(self, text=redact(self.text, secrets))

    @property
    def correlation_id(self) -> str | None:
        return self.headers.get("X-HubSpot-Correlation-Id")

    @property
    def quota(self) -> Quota | None:
        return quota_from(self.headers)

    def rows(self, *, required: bool) -> dict[str, Any]:
        """The body of an answer with a list of objects as `results`. Raises Uncertain where it is anything else."""
        body = json_object(self.text)
        rows = None if body is None else body.get("results", None if required else [])
        if body is None or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self.unreadable()
        return body

    def unreadable(self, *, shown: bool = True) -> Uncertain:
        """The failure of a 2xx whose body means nothing; with the body, if it may be shown."""
        return Uncertain(
            f"HubSpot answered {self.status} with a body that could not be read",
            http_status=self.status,
            body=self.text if shown else None,
            correlation_id=self.correlation_id,
        )

    def failure(self, secrets: Collection[str]) -> HubSpotFailure:
        """What a status that is not 2xx means. Nothing in it shows any of these secrets."""
        reply = self.without(secrets)
        error = error_body(json_object(reply.text))
        message = error.message or f"HubSpot answered {self.status} without a message"
        policy = rule(self.status)
        if policy.failure is Misconfigured and (scopes := _missing_scopes(error)):
            message = f"{message} Missing scopes: {scopes}"
        return policy.failure(
            redact(message, secrets),  # once more: JSON can write any character in another way
            http_status=self.status,
            body=reply.text,
            correlation_id=self.correlation_id or error.correlation_id,
            retry_after=max(policy.floor, self._retry_after) or None,
            daily=self.status == 429 and error.policy_name == "DAILY",
            portal_wide=policy.portal_wide,
            quota=self.quota,
        )

    @property
    def _retry_after(self) -> float:
        """Seconds, where HubSpot defines the header: while an account is being moved, up to about a day."""
        header = self.headers.get("Retry-After", "")
        return float(header) if self.status == 477 and header.isdecimal() else 0.0


def quota_from(headers: Mapping[str, str]) -> Quota | None:
    """The quota in an answer's X-HubSpot-RateLimit headers, or None where they make no sense."""
    calls, milliseconds = _number(headers, "Max"), _number(headers, "Interval-Milliseconds")
    if not calls or not milliseconds:
        return None
    return Quota(calls, milliseconds / 1000, _number(headers, "Remaining"))


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(f"X-HubSpot-RateLimit-{name}", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _missing_scopes(error: ErrorBody) -> str:
    contexts = [detail.context for detail in error.errors if detail.context]
    return "; ".join(
        c if isinstance(c, str) else ", ".join(s for scopes in c.values() for s in scopes) for c in contexts
    )
