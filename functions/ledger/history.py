"""Pages of outcomes, newest first. An index finds candidates; the table has their true state."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice

from aws.dynamodb import KEYS_IN_ONE_READ, Table
from ledger.items import VERIFY, pair_key, pairs_key, size, status_key, to_outcome
from model.object_types import spellings
from model.outcomes import Outcome, Status
from model.records import plain
from runtime import concurrency
from runtime.concurrency import SideBySide

PAGE_BYTES = 4_000_000  # Lambda's answers end at 6 MB; a page that would be larger ends early
MOST_EXAMINED = 1_000  # candidates for one page, when few of a pair have the status asked for: a gateway waits 29 s
# What the index by status has no entry of: all of it that ended well, and most of it while it runs.
ONLY_BY_PAIR = (Status.COMPLETE, Status.RUNNING)
LEAST_OF_EACH = 8  # keys that are read at once of each partition, where a page is merged from many
OLDEST, NEWEST = "0", "~"  # below and above every sort key, which begin with a year


@dataclass(frozen=True)
class Filter:
    """Which outcomes of a portal are wanted: of a pair (by its types' ids), of a status, since a time, `after` an
    earlier page."""

    portal: str
    pair: tuple[str, str] | None = None
    status: Status | None = None
    since: str = OLDEST
    after: str = NEWEST
    limit: int = 50


@dataclass(frozen=True)
class Page:
    """Outcomes, newest first, and where the next page begins, if there is one."""

    outcomes: list[Outcome]
    after: str | None


class History:
    """Lists outcomes. Raises LedgerUnavailable. `side_by_side` does several jobs at the same time."""

    def __init__(self, table: Table, side_by_side: SideBySide = concurrency.side_by_side) -> None:
        self._table = table
        self._side_by_side = side_by_side

    def page(self, wanted: Filter) -> Page:
        """One page of the outcomes wanted. It may be shorter than asked for and still not the last."""
        found: list[Outcome] = []
        used = examined = 0
        key = ""
        candidates = self._candidates(wanted)
        while batch := list(islice(candidates, min(KEYS_IN_ONE_READ, wanted.limit - len(found) + 1))):
            items = self._table.get_many([outcome_id for _, outcome_id in batch])
            outcomes = {outcome.id: outcome for outcome in map(to_outcome, items)}
            for next_key, outcome_id in batch:
                outcome = outcomes.get(outcome_id)
                # An index lags behind the table, so an outcome may have left the status it was found under.
                if outcome and wanted.status in (None, outcome.status):
                    used += size(plain(outcome))
                    if len(found) == wanted.limit or (found and used > PAGE_BYTES):
                        return Page(found, key)
                    found.append(outcome)
                key = next_key
                examined += 1
            if examined >= MOST_EXAMINED:
                return Page(found, key)
        return Page(found, None)

    def _candidates(self, wanted: Filter) -> Iterator[tuple[str, str]]:
        if wanted.pair:
            partitions = [("by-pair", "pairKey", key) for key in pair_keys(wanted)]
        else:
            statuses = [wanted.status] if wanted.status else list(Status)
            partitions = [("by-status", "statusKey", status_key(wanted.portal, status)) for status in statuses]
            if wanted.status in (None, *ONLY_BY_PAIR):
                partitions += [("by-pair", "pairKey", key) for key in self._pairs(wanted.portal)]
        # Enough of each for a page from all, and one more, to know whether there is a next one.
        page = max(LEAST_OF_EACH, 2 * wanted.limit // len(partitions)) if len(partitions) > 1 else wanted.limit + 2
        streams = [self._keys(*partition, wanted, page) for partition in partitions]
        last = ""
        for key, outcome_id in heapq.merge(*self._begun(streams), reverse=True):
            # One outcome can be in two of them: by its pair and by its status, or by two statuses while an index lags.
            if key != last:
                yield key, outcome_id
            last = key

    def outcomes(self, pair_keys: Iterable[str]) -> Iterator[Outcome]:
        """All outcomes of some partitions of the index by pair, in no order."""
        for key in pair_keys:
            rows = self._table.query("by-pair", ("pairKey", key), (OLDEST, NEWEST), KEYS_IN_ONE_READ)
            while ids := [row["id"] for row in islice(rows, KEYS_IN_ONE_READ)]:
                yield from map(to_outcome, self._table.get_many(ids))

    def has_any_before(self, portal: str) -> bool:
        """Whether a portal has outcomes that were written before pairs had registers."""
        for status in Status:
            rows = self._table.query(
                "by-status", ("statusKey", status_key(portal, status)), (OLDEST, NEWEST), 1, oldest_first=True
            )
            for row in islice(rows, 1):
                item = self._table.get(row["id"])
                if item and isinstance(item.get("inputs"), list):
                    return True
        return False

    def _pairs(self, portal: str) -> list[str]:
        """The partitions of the pairs that a portal has."""
        # A pair that is to be verified has another place in the list. One that gets it while the list is read is found
        # where it is due.
        places = [("by-pair", ("pairKey", pairs_key(portal))), ("by-status", ("statusKey", status_key(portal, VERIFY)))]
        rows = chain.from_iterable(self._table.query(*place, (OLDEST, NEWEST), KEYS_IN_ONE_READ) for place in places)
        return list(dict.fromkeys(pair_key(*row["id"].split("#")[1:]) for row in rows))

    def _keys(self, index: str, attribute: str, value: str, wanted: Filter, page: int) -> Iterator[tuple[str, str]]:
        # The last of the page before is included.
        rows = self._table.query(index, (attribute, value), (wanted.since, wanted.after), page)
        return ((row["sortKey"], row["id"]) for row in rows if row["sortKey"] != wanted.after)

    def _begun(self, streams: Sequence[Iterator[tuple[str, str]]]) -> list[Iterator[tuple[str, str]]]:
        """The same, with the first of each read side by side: a portal can have hundreds of pairs."""
        begun = list(streams)

        def begin(index: int) -> None:
            begun[index] = chain(list(islice(streams[index], 1)), streams[index])

        self._side_by_side([partial(begin, index) for index in range(len(streams))])
        return begun


def pair_keys(wanted: Filter) -> list[str]:
    """The partitions of a pair. Outcomes of older versions are filed under their types' names, as they were spelt."""
    from_type, to_type = wanted.pair or ("", "")
    named = [(from_type, to_type), *zip(spellings(from_type)[1:], spellings(to_type)[1:], strict=False)]
    return list(dict.fromkeys(pair_key(wanted.portal, *names) for names in named))
