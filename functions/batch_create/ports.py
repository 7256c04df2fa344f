"""What the shared handler needs: Protocols only. `production.py` has the real ones."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from tokens.ports import SlotPort

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, tzinfo

    from aws.dynamodb import Change
    from hubspot_api.client import Answer
    from ledger.claim import Adoption, Claim
    from ledger.leases import Lease, Taken, Wanted
    from model.contract import LimitInput, LimitKey
    from model.outcomes import Outcome, Request
    from model.pair import Address
    from model.quota import Quota


class Point(StrEnum):
    """Where a worker's death can do most harm. Production passes these points; tests kill a worker at each."""

    BEFORE_CLAIM = "before claim"
    AFTER_CLAIM = "after claim"
    AFTER_TOKEN = "after token"
    BEFORE_SEND = "before send"
    AFTER_SEND = "after send"  # sent and not answered: reached in a test's own transport
    AFTER_ANSWER = "after answer"
    BEFORE_SETTLE = "before settle"
    AFTER_SETTLE = "after settle"


class HubSpotPort(Protocol):
    """HubSpot, as `hubspot_api.client.HubSpot` reaches it."""

    def batch_create(self, token: str, address: Address, inputs: Sequence[LimitInput], seconds: float) -> Answer: ...
    def read_pair(self, token: str, address: Address, seconds: float) -> dict[LimitKey, int | None]: ...
    def object_type(self, token: str, api_version: str, name: str, seconds: float) -> str: ...


class TokenPort(Protocol):
    """Bearer tokens, as `tokens.provider.TokenProvider` finds them."""

    def secret_name(self, portal: str) -> str: ...
    def zone(self, portal: str) -> tzinfo | None: ...
    def bearer(self, portal: str, seconds: float, *, fresh: bool = False) -> str: ...


class QuotaPort(SlotPort, Protocol):
    """The shared quota, as `quota.shared_quota.SharedQuota` keeps it."""

    def observe(self, portal: str, quota: Quota, at: datetime) -> None: ...
    def block(self, portal: str, until: datetime, *, daily: bool) -> None: ...


class LedgerPort(Protocol):
    """Claims and settlements, as `ledger.ledger.Ledger` writes them."""

    def accept(self, request: Request, now: datetime) -> Claim: ...
    def accept_new(self, requests: Sequence[Request], now: datetime) -> Sequence[Claim | None]: ...
    def standing(self, requests: Sequence[Request]) -> Sequence[Claim | None]: ...
    def claim_new(
        self, requests: Sequence[Request], holder: str, now: datetime, lease_until: datetime
    ) -> Sequence[Claim | None]: ...
    def claim_and_take(
        self, request: Request, wanted: Wanted, leases: Any, holder: str, now: datetime, lease_until: datetime
    ) -> tuple[Claim | None, Taken]: ...
    def claim(self, request: Request, holder: str, now: datetime, lease_until: datetime) -> Claim: ...
    def adopt(self, lease: Lease, naming: Change, now: datetime) -> Adoption: ...
    def get(self, outcome_id: str) -> Outcome | None: ...
    def waiting(self, outcome_id: str, wanted: Wanted, now: datetime) -> tuple[Outcome, int, bool]: ...
    def requeue(self, outcome: Outcome, fence: int) -> None: ...
    def settle_many(self, settled: Sequence[tuple[Outcome, int]], also: Sequence[Change] = ()) -> Sequence[bool]: ...
    def settle(self, outcome: Outcome, fence: int) -> None: ...


class GatePort(Protocol):
    """Gates of portals, as `ledger.gates.Gates` writes them."""

    def wait(self, portal: str, due: datetime, now: datetime) -> None: ...


class LeasePort(Protocol):
    """Leases of pairs, as `ledger.leases.Leases` writes them."""

    def take_many(self, wanted: Sequence[Wanted], holder: str, now: datetime, until: datetime) -> Sequence[Taken]: ...
    def naming(self, lease: Lease, outcome_ids: Iterable[str]) -> Change: ...
    def giving_back(self, lease: Lease, now: datetime) -> Change: ...
    def give_back(self, lease: Lease, now: datetime) -> bool: ...
    def wait_for(self, wanted: Wanted, outcome_id: str, fence: int) -> None: ...


class ObjectTypePort(Protocol):
    """Object types by their names, as `hubspot_api.object_types.ObjectTypes` knows them."""

    def known(self, portal: str, name: str) -> str | None: ...
    def resolve(self, portal: str, name: str, seconds: float) -> str: ...
