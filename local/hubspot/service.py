"""The stand-in itself: takes one call, keeps HubSpot's order of checks, and says what to answer and when.

It is synchronous and does no input or output: time and ids come in through two ports, and a delay is handed
back as a number of seconds. So it serves HTTP, and simulations in virtual time, alike.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from local.hubspot.access import CallQuota, Token, Tokens, admit, require_scopes
from local.hubspot.answers import Answer, HubSpotError, not_found, rate_limited
from local.hubspot.catalogue import object_type_id
from local.hubspot.effects import Circumstances
from local.hubspot.exchange import Exchange, Landing
from local.hubspot.faults import ASSOCIATION_OPERATIONS, Fault, Faults, Target
from local.hubspot.journal import KEPT_ENTRIES, Entry, Journal
from local.hubspot.oauth import OAuth
from local.hubspot.operations import OPERATIONS, Demand
from local.hubspot.portal import Portal
from local.hubspot.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.hubspot.catalogue import Pair
    from local.hubspot.effects import AnyEffect
    from local.hubspot.objects import ObjectType
    from local.hubspot.operations import Changes

# Versions are named by year and month; anything else is not there, but for the names these were known by before.
DATED_VERSION = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
FORMER_VERSIONS = {"token": "v1", "account": "v3"}


@dataclass(frozen=True)
class Call:
    """One HTTP request to HubSpot, its version and object types as the path has them.

    `operation` is one of OPERATIONS or `token`, unless `refusal` says why the request could not be routed to one.
    `object_type` is the one whose schema is asked for.
    """

    operation: str
    method: str
    path: str
    authorization: str = ""
    body: bytes = b""
    version: str = ""
    from_object_type: str | None = None
    to_object_type: str | None = None
    refusal: HubSpotError | None = None
    object_type: str | None = None


@dataclass(frozen=True)
class _Admitted:
    """A call that HubSpot accepts as far as its body, which is read last. One for a token has none, and no account."""

    call: Call
    token: Token | None = None
    portal: Portal | None = None
    pair: Pair | None = None
    object_type: ObjectType | None = None


class StandIn:
    """A HubSpot for tests: accounts with their limits, tokens, OAuth apps, quotas, ordered faults, and a journal."""

    def __init__(
        self,
        tokens: Iterable[Token],
        clock: Callable[[], float],
        new_id: Callable[[], str],
        kept_entries: int | None = KEPT_ENTRIES,
        seed: int = 0,
    ) -> None:
        """`clock` gives epoch seconds, `new_id` an id for a call or in a new token. None keeps the whole journal.

        `seed` decides which reads show the past while they flap.
        """
        self.settings = Settings()
        self.tokens = Tokens(tokens)
        self.oauth = OAuth(self.tokens)
        self.faults = Faults()
        self.journal = Journal(kept_entries)
        self._clock = clock
        self._new_id = new_id
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        """Forget every limit, custom object, added type and counted call, and every call that is not yet carried out.

        Reads that flap do so from the beginning again.
        """
        self.portals: defaultdict[int, Portal] = defaultdict(Portal)
        self._quota = CallQuota()
        self._random = Random(self._seed)

    def receive(self, call: Call) -> Exchange:
        """Take a call. What it changes has changed when this returns, unless a fault has it carried out later."""
        token = None if call.operation == "token" else self.tokens.named_by(call.authorization)
        entry = self._opened(call, token)
        latency = self.settings.latency_ms / 1000
        try:
            admitted = self._admitted(call, token)
        except HubSpotError as refusal:
            answer = self._closed(entry, token, _refused(refusal, entry))
            return Exchange(latency, lambda: answer)
        fault = self._drawn(admitted)
        if fault is None:
            answer = self._performed(admitted, None, entry)
            return Exchange(latency, lambda: answer)
        entry.fault = fault.described()
        return self._spoiled(admitted, fault, entry, latency)

    def _spoiled(self, admitted: _Admitted, fault: Fault, entry: Entry, latency: float) -> Exchange:
        wait = latency + fault.order.effect.delay_ms / 1000
        if fault.order.effect.land_ms:
            return self._landing(admitted, fault.order.effect, entry, wait)
        perform = partial(self._performed, admitted, fault, entry)
        if fault.order.effect.late:
            return Exchange(wait, perform)
        answer = perform()
        return Exchange(wait, lambda: answer)

    def _landing(self, admitted: _Admitted, effect: AnyEffect, entry: Entry, wait: float) -> Exchange:
        """The rules judge the call when it lands. An answer before that says what they would make of it by then."""
        landed: list[Answer] = []

        def land() -> None:
            honest, commit = self._judged(admitted, entry)
            landed.append(honest)
            if commit:
                commit()

        def finish() -> Answer:
            honest = landed[0] if landed else self._judged(admitted, entry)[0]
            return self._closed(entry, admitted.token, self._disguised(honest, effect, entry))

        return Exchange(wait, finish, Landing(effect.land_ms / 1000, land))

    def _admitted(self, call: Call, token: Token | None) -> _Admitted:
        """Every check before the body's. Raises HubSpotError."""
        if call.refusal:
            raise call.refusal
        if call.version != FORMER_VERSIONS.get(call.operation) and not DATED_VERSION.fullmatch(call.version):
            raise not_found()
        if call.operation == "token":
            return _Admitted(call)
        moment = self._clock()
        accepted = admit(token, moment)
        if call.operation in ASSOCIATION_OPERATIONS:
            require_scopes(accepted, self.settings.scope_context)
        policy = self._quota.take(accepted, moment, self.settings)
        if policy:
            raise rate_limited(policy)
        portal = self.portals[accepted.hub_id]
        pair = portal.objects.pair(call.from_object_type, call.to_object_type)
        object_type = portal.objects.find(call.object_type or "") if call.operation == "schema" else None
        return _Admitted(call, accepted, portal, pair, object_type)

    def _drawn(self, admitted: _Admitted) -> Fault | None:
        from_type, to_type = admitted.pair or (None, None)
        token_name = admitted.token.name if admitted.token else None
        type_id = admitted.portal.objects.type_id if admitted.portal else object_type_id
        return self.faults.draw(Target(admitted.call.operation, from_type, to_type, token_name, type_id))

    def _performed(self, admitted: _Admitted, fault: Fault | None, entry: Entry) -> Answer:
        """Carry the call out, unless a fault forbids it, and answer, honestly or as the fault wants it."""
        effect = fault.order.effect if fault else None
        answer, commit = self._judged(admitted, entry)
        if commit and (effect is None or effect.applied):
            commit()
        if effect:
            answer = self._disguised(answer, effect, entry)
        return self._closed(entry, admitted.token, answer)

    def _disguised(self, honest: Answer, effect: AnyEffect, entry: Entry) -> Answer:
        return effect.disguise(honest, Circumstances(entry.correlation_id, self.settings.scope_context))

    def _judged(self, admitted: _Admitted, entry: Entry) -> tuple[Answer, Callable[[], None] | None]:
        """The honest answer as of now, a refusal included, and what carries the call out where it changes something."""
        entry.refusal = None
        try:
            return self._worked_out(admitted, entry)
        except HubSpotError as refusal:
            return _refused(refusal, entry), None

    def _worked_out(self, admitted: _Admitted, entry: Entry) -> tuple[Answer, Callable[[], None] | None]:
        """The honest answer, and what makes it true where it says that something changed. Raises HubSpotError."""
        call, token, portal, pair = admitted.call, admitted.token, admitted.portal, admitted.pair
        moment = self._clock()
        if token is None or portal is None:
            grant = self.oauth.grant(call.body, moment, self._new_id)
            return grant.answer(), partial(self.oauth.keep, grant, moment)
        answer, changes = OPERATIONS[call.operation](
            Demand(token.hub_id, portal, pair, admitted.object_type, call.body, moment, self.settings, self._random)
        )
        forgotten = self.portals.get(token.hub_id) is not portal
        if not changes or pair is None or forgotten:
            return answer, None
        return answer, partial(_commit, portal, pair, changes, moment, entry)

    def _opened(self, call: Call, token: Token | None) -> Entry:
        entry = Entry(
            sequence=self.journal.total + 1,
            moment=self._clock(),
            operation=call.operation,
            method=call.method,
            path=call.path,
            from_object_type=call.from_object_type,
            to_object_type=call.to_object_type,
            token_name=token.name if token else None,
            hub_id=token.hub_id if token else None,
            body=self.oauth.journalled(call.body) if call.operation == "token" else call.body,
            correlation_id=self._new_id(),
        )
        self.journal.add(entry)
        return entry

    def _closed(self, entry: Entry, token: Token | None, answer: Answer) -> Answer:
        entry.dropped = bool(answer.dropped)
        entry.status = None if answer.dropped else answer.status
        headers = {"X-HubSpot-Correlation-Id": entry.correlation_id}
        if token:
            headers |= self._quota.headers(token, self._clock(), self.settings)
        return replace(answer, headers={**headers, **answer.headers})


def _refused(refusal: HubSpotError, entry: Entry) -> Answer:
    entry.refusal = refusal.category
    return refusal.answer(entry.correlation_id)


def _commit(portal: Portal, pair: Pair, changes: Changes, moment: float, entry: Entry) -> None:
    portal.commit(pair, changes, moment)
    entry.changed = [
        {"category": key.category, "typeId": key.type_id, "maxToObjectIds": limit} for key, limit in changes.items()
    ]
