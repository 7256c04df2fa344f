"""One HubSpot account: its custom objects, its association types, and the limits set on them with their recent past."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from local.hubspot.catalogue import SEEDED_TYPES, Pair, TypeKey
from local.hubspot.objects import CustomObjects
from local.hubspot.settings import MAX_READ_LAG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def _seeded() -> dict[Pair, dict[TypeKey, str | None]]:
    return {pair: dict(types) for pair, types in SEEDED_TYPES.items()}


class _Change(NamedTuple):
    moment: float
    limit: int | None


@dataclass
class Portal:
    """The state of one account.

    Each direction of a cross-object pair is a pair of its own with its own limits. A same-object pair has
    only one direction, so its unlabelled type and its single labels share one limit both ways, and the two
    labels of a paired label, having two type ids, may differ.
    """

    objects: CustomObjects = field(default_factory=CustomObjects)
    labels: dict[Pair, dict[TypeKey, str | None]] = field(default_factory=_seeded)
    _pasts: dict[Pair, dict[TypeKey, deque[_Change]]] = field(default_factory=lambda: defaultdict(dict))

    def pairs(self) -> Iterable[Pair]:
        """Every pair on which something is known, sorted."""
        return sorted({*self.labels, *self._pasts})

    def labels_of(self, pair: Pair) -> Mapping[TypeKey, str | None]:
        """The association types of a pair with their labels; None marks the unlabelled type."""
        return self.labels.get(pair, {})

    def add_type(self, pair: Pair, key: TypeKey, label: str | None) -> None:
        """Make an association type known, or give a known one another label."""
        self.labels.setdefault(pair, {})[key] = label

    def limits(self, pair: Pair, moment: float | None = None) -> dict[TypeKey, int]:
        """The limits of a pair: now, or at a moment (epoch seconds) at most MAX_READ_LAG_SECONDS ago."""
        limits = {}
        for key, past in self._pasts.get(pair, {}).items():
            known = (change for change in reversed(past) if moment is None or change.moment <= moment)
            newest = next(known, None)
            if newest and newest.limit is not None:
                limits[key] = newest.limit
        return limits

    def commit(self, pair: Pair, changes: Mapping[TypeKey, int | None], moment: float) -> None:
        """Set limits, or take them away where the change is None."""
        horizon = moment - MAX_READ_LAG_SECONDS
        for key, limit in changes.items():
            past = self._pasts[pair].setdefault(key, deque())
            past.append(_Change(moment, limit))
            # The newest change before the horizon stays: it still tells what was true at the horizon.
            while len(past) > 1 and past[1].moment <= horizon:
                past.popleft()
