"""The order of requests: what a pair's register says of each, and what is read where a call may land late."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from batch_create.attribution import Attribution
from batch_create.call_result import Batch, CallResult, Limits
from batch_create.claimed_request import ClaimedRequest
from batch_create.dependencies import Dependencies
from batch_create.plan import Call, Demand
from batch_create.read_back import proven
from batch_create.sending import Sender
from ledger.leases import Lease
from ledger.register import LANDING, Applied, Register, Sent
from model.contract import Category, LimitInput, LimitKey
from model.errors import HubSpotFailure, LedgerUnavailable, PortalEnded, Refused, Unavailable
from model.outcomes import Age, Result
from model.pair import Address
from model.records import milliseconds
from runtime.telemetry import count, logger

MILLISECOND = timedelta(milliseconds=1)
SOON = 30.0  # seconds until a pair is looked at again; ours, as for the ledger (settling.py), and longer with each try


def respect(requests: Mapping[str, ClaimedRequest], demands: Sequence[Demand], register: Register, now: int) -> bool:
    """Decide or defer the demands that must not be sent: what a younger request has set is left alone, and while a
    younger one's send is in doubt nothing older is sent or settled. Returns whether there were any."""
    found = False
    youngest: dict[LimitKey, Demand] = {}
    for demand in demands:
        other = youngest.get(demand.item.key)
        if other is None or other.age < demand.age:
            youngest[demand.item.key] = demand
    for demand in demands:
        key, request = demand.item.key, requests[demand.request_id]
        last = register.last.get(key)
        if last and last.outcome_id == demand.request_id:
            # An earlier run of it was recorded, and died before it was settled.
            result = Result.UNCONFIRMED if last.unconfirmed else Result.APPLIED
            request.decide(key, Attribution(result, "recorded by an earlier run", read=True))
            found = True
        elif last and last.age > demand.age:
            if last.unconfirmed:
                request.decide(key, unconfirmed_by(last.outcome_id))
            else:
                request.supersede(key, by=last.outcome_id)
            found = True
        elif (sent := register.in_doubt(key, demand.age)) and youngest[key].age < sent.age:
            # The younger one is mostly sent again and answered in seconds: no wait here for a reading's window.
            left = (sent.at + register.window - now) / 1000
            why = f"the younger request {sent.outcome_id} was sent without a clear answer, and is to be read back first"
            request.defer(Unavailable(why, retry_after=left if 0 < left < SOON else SOON))
            found = True
    return found


def unconfirmed_by(outcome_id: str) -> Attribution:
    """What becomes of an input whose limit a younger request may have set."""
    message = f"outcome {outcome_id} asked for another number later, and cannot be confirmed"
    return Attribution(Result.UNCONFIRMED, message)


def record(result: CallResult, register: Register, now: int, *, sent: bool) -> None:
    """Enter into the register what a call has come to. `sent` is false where a pair was only read."""
    in_doubt = sent and result.doubt is not None and not result.doubt.refused
    # A reading that shows the number does not prove that this call set it: it may have been there before, and the call
    # may still land, over a younger one's number.
    may_land = sent and result.batch is not Batch.REFUSED
    # What a reading has proved may have been sent at any time before.
    sent_at = milliseconds(result.attempts[0].at) if sent and result.attempts else 0
    for winner in result.call.winners:
        key, number = winner.item.key, winner.item.max_to_object_ids
        attribution = result.attributions.get(key)
        became = proven(attribution).result if attribution else None
        if became in (Result.APPLIED, Result.UNCHANGED, Result.UNCONFIRMED):
            since = 0 if attribution and attribution.read else sent_at
            unconfirmed = became is Result.UNCONFIRMED
            register.apply(key, Applied(winner.age, winner.request_id, number, since, now, unconfirmed))
        if became is Result.REJECTED:
            register.withdraw(key, winner.request_id, number)
            register.refuse(key, winner.age, number)
        elif (
            (in_doubt and became is None)
            or (sent and became is Result.UNCONFIRMED)
            or (may_land and attribution and attribution.read)
        ):
            register.send(Sent(key, winner.age, winner.request_id, number, now))


class Verification:
    """Reads a pair when a send that came to no clear answer can be judged by a reading.

    HubSpot takes no fencing token: a call of an older request can land after a younger one's was answered. Where one
    has, the younger one's number is sent again; only over numbers that are our own, and never over somebody else's.
    """

    def __init__(self, lease: Lease, sender: Sender, deps: Dependencies) -> None:
        self._deps = deps
        self._lease = lease
        self._sender = sender
        self.readable: bool | None = None  # not tried yet
        self._never_readable = False
        pair = lease.wanted.pair
        self._address = Address(deps.default_api_version, pair.from_type, pair.to_type)

    def verify(self, demands: Callable[[], Sequence[Demand]], own: Collection[str], now: int) -> None:
        """Read the pair if anything can be judged that matters: sends that may have undone a number, or that keep a
        demand waiting; but none of the `own` requests, which are read back by themselves."""
        register = self._lease.register
        self._enter_put_backs()
        over = register.due(now)
        oldest = _oldest(demands()) if over else {}
        undoing = set(register.undoing()) if over else set()
        due = [
            sent
            for sent in over
            if (sent in undoing and (register.can_undo_last(sent) or self._is_given_up(sent)))
            or (sent.outcome_id not in own and sent.key in oldest and oldest[sent.key] < sent.age)
        ]
        if not due:
            return
        # What is read is judged for all sends of a limit: the youngest may be one that nobody waits for.
        keys = dict.fromkeys(sent.key for sent in due)
        judged = [sent for sent in over if sent.key in keys]
        try:
            read = self._read()
        except (Refused, PortalEnded) as failure:
            # It can never be read: then a younger request's number may be there for good.
            logger.error("pair cannot be verified", pair=str(self._lease.wanted.pair), error=str(failure))
            for sent in judged:
                register.apply(sent.key, replace(_possibly(sent, now), unconfirmed=True))
            register.forget(keys, now)
            return
        except HubSpotFailure as failure:
            logger.info("pair not verified", pair=str(self._lease.wanted.pair), error=str(failure))
            return
        undone = {}
        for key in keys:
            of_one = [sent for sent in judged if sent.key == key]
            there = read.get(key)
            try:
                if not self._judge(of_one, there, own, now):
                    continue
            except LedgerUnavailable as error:
                # A number that is there proves nothing for a request that may have been given up before it was sent.
                logger.info("sends not judged", key=str(key), error=str(error))
                continue
            last = register.last.get(key)
            younger = (sent for sent in register.sends if sent.key == key and (not last or sent.age > last.age))
            if any(sent not in judged for sent in younger):
                continue  # it cannot be judged yet, and may have been undone as well: then it is put back
            if last and there != last.number and there in {sent.number for sent in of_one if sent.age < last.age}:
                if not self._may_be_under_way(key, last, now):
                    undone[key] = last
            else:
                register.forget([key], now)
        logger.info("pair verified", pair=str(self._lease.wanted.pair), limits=len(keys), undone=len(undone))
        if undone:
            self._put_back(undone)

    def _judge(self, sends: Sequence[Sent], there: int | None, own: Collection[str], now: int) -> bool:
        """Judge the sends of one limit that are younger than its last number, by the number that is there. An older
        one's number does not disprove a younger one: its call may have landed later. Then the younger is left in doubt
        while its request is open, which sends it again: False. One that ended UNCONFIRMED counts as applied. Raises
        LedgerUnavailable, and then has judged nothing."""
        register = self._lease.register
        absent: list[Sent] = []
        for sent in sorted(sends, key=lambda each: each.age, reverse=True):
            last = register.last.get(sent.key)
            if last and last.age >= sent.age:
                break
            older = {each.number for each in sends if each.age < sent.age}
            if there != sent.number and there not in older:
                continue
            result = None if sent.outcome_id in own else self._ended_as(sent)
            if there == sent.number and result not in (Result.PENDING, Result.REJECTED):
                register.apply(sent.key, _possibly(sent, now))
                break
            if there != sent.number and result is None:
                for each in absent:  # else it would wait for these, as they would for its end
                    register.withdraw(each.key, each.outcome_id, each.number)
                return False
            if there != sent.number and result is Result.UNCONFIRMED:
                # It counts as applied, so that the older one's number is not to stand: the younger one's is put back.
                register.apply(sent.key, replace(_possibly(sent, now), unconfirmed=True))
                break
            absent.append(sent)
        return True

    def _is_given_up(self, older: Sent) -> bool:
        """Whether the youngest send in doubt over which an older one may have landed has no request any more that reads
        and sends it again by itself."""
        younger = self._lease.register.in_doubt(older.key, older.age)
        try:
            return younger is not None and self._ended_as(younger) is not None
        except LedgerUnavailable as error:
            logger.info("outcome not read", outcome_id=older.outcome_id, error=str(error))
            return False

    def _ended_as(self, sent: Sent) -> Result | None:
        """What became of a send's input by the ledger: PENDING where its request was given up before it was sent. None
        while the request is open. Raises LedgerUnavailable."""
        outcome = self._deps.ledger.get(sent.outcome_id)
        if outcome is None:
            return Result.UNCONFIRMED  # it has expired
        results = {item.key: item.result for item in outcome.inputs}
        return results.get(sent.key, Result.UNCONFIRMED) if outcome.status.final else None

    def _enter_put_backs(self) -> None:
        """Enter what a holder that died may have put back: no outcome tells of it."""
        lease, register = self._lease, self._lease.register
        for key in {sent.key for sent in register.sends if lease.died_by and register.can_undo_last(sent)}:
            last = register.last[key]
            register.send(Sent(key, last.age, last.outcome_id, last.number, lease.died_by))

    def _may_be_under_way(self, key: LimitKey, last: Applied, now: int) -> bool:
        """Whether a number was put back without a clear answer, and so lately that it may land still: then it is looked
        for again, and not sent again."""
        return any(
            (sent.key, sent.outcome_id) == (key, last.outcome_id) and now - sent.at < LANDING / MILLISECOND
            for sent in self._lease.register.sends
        )

    def await_landings(self, requests: Mapping[str, ClaimedRequest], demands: Sequence[Demand], now: int) -> None:
        """Where an older request's call may still land over a number, that can be put back only if the pair can be
        read. If it cannot, let the demand wait until nothing can land any more."""
        register = self._lease.register
        for demand in demands:
            until = register.may_land(demand.item.key, demand.age, demand.item.max_to_object_ids, now)
            if until and not self._is_readable():
                why = "an older request's call came to no clear answer, and may still take effect"
                left = (until - now) / 1000
                left = left if self._never_readable else min(left, SOON)
                requests[demand.request_id].defer(Unavailable(why, retry_after=left))

    def _is_readable(self) -> bool:
        if self.readable is None:
            try:
                self._read()
            except HubSpotFailure as failure:
                logger.info("pair not readable", pair=str(self._lease.wanted.pair), error=str(failure))
                self.readable, self._never_readable = False, isinstance(failure, Refused)
        return bool(self.readable)

    def _read(self) -> Limits:
        read = self._sender.calls.read(self._lease.wanted.portal, self._address, attempts=[])  # no request's own
        self.readable = True
        return read

    def _put_back(self, undone: Mapping[LimitKey, Applied]) -> None:
        register = self._lease.register
        wanted, address = self._lease.wanted, self._address
        winners = tuple(
            Demand(
                last.outcome_id,
                last.age,
                wanted.portal,
                wanted.pair,
                address,
                LimitInput(Category(key[0]), key[1], last.number),
            )
            for key, last in undone.items()
        )
        logger.warning("limits put back", portal=wanted.portal, pair=str(wanted.pair), keys=str(list(undone)))
        count("LimitPutBack")
        for result in self._sender.send(Call(wanted.portal, wanted.pair, winners)):
            now = milliseconds(self._sender.now())
            record(result, register, now, sent=True)
            for key, attribution in result.attributions.items():
                if attribution.result is Result.REJECTED:
                    # HubSpot takes it no more, such as a label's limit above an object limit that was lowered since.
                    logger.error("limit not put back", key=str(key), reason=attribution.message)
                    count("LimitNotPutBack")
                    # One that was never certain has given way to the one before it, which the next reading is about.
                    if register.last.get(key) == undone[key]:
                        register.forget([key], now)


def _possibly(sent: Sent, now: int) -> Applied:
    """A send that was applied, at some time until now."""
    return Applied(sent.age, sent.outcome_id, sent.number, 0, now)


def _oldest(demands: Sequence[Demand]) -> dict[LimitKey, Age]:
    oldest: dict[LimitKey, Age] = {}
    for demand in demands:
        oldest[demand.item.key] = min(demand.age, oldest.get(demand.item.key, demand.age))
    return oldest
