"""What a write costs in DynamoDB's units, by the items before and after it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

WRITE_UNIT = 1_024  # bytes: DynamoDB Developer Guide, "DynamoDB read and write operations"

Item = Mapping[str, Any]
Indexes = Sequence[tuple[str, ...]]  # of each the attributes that it keeps: all are KEYS_ONLY


@dataclass(frozen=True)
class Write:
    """One write: of how many bytes the item is then, and the units of the table and of its indexes."""

    size: int
    table: int
    indexes: int

    @property
    def units(self) -> int:
        return self.table + self.indexes


def size(item: Item) -> int:
    """Bytes of an item, its names included: Developer Guide, "DynamoDB item sizes and formats"."""
    return sum(len(name.encode()) + _bytes(value) for name, value in item.items())


def write(before: Item, after: Item, indexes: Indexes) -> Write:
    """What a write costs: by the larger of the item before and after, and in an index by what changes in it. A changed
    key is an entry deleted and one put: Developer Guide, "Global Secondary Indexes", provisioned throughput."""
    units = 0
    for kept in indexes:
        old, new = entry(before, kept), entry(after, kept)
        if old != new:
            units += sum(units_of(each) for each in (old, new))
    return Write(size(after), max(units_of(before), units_of(after)), units)


def entry(item: Item, kept: tuple[str, ...]) -> dict[str, Any]:
    """An item's entry in an index; none, where it lacks a key of it."""
    return {name: item[name] for name in kept} if all(name in item for name in kept) else {}


def units_of(item: Item) -> int:
    """Of an item that is written; none, where there is none."""
    return ceil(size(item) / WRITE_UNIT)


def _bytes(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, (bytes, bytearray)):
        return len(value)
    if isinstance(value, Mapping):
        return 3 + size(value) + len(value)
    if isinstance(value, (list, tuple)):
        return 3 + sum(_bytes(element) + 1 for element in value)
    if isinstance(value, bool) or value is None:
        return 1
    digits = str(value).strip("-").rstrip("0")
    return 1 + ceil(len(digits) / 2)
