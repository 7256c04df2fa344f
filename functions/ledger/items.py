"""An outcome as a DynamoDB item, and back. Whatever HubSpot answers, the item fits."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from zlib import crc32

from model.contract import Category, LimitInput
from model.outcomes import Attempt, Doubt, HubSpotResponse, InputOutcome, Outcome, Result, Status, Trigger, Verdict
from model.records import Reader, camel, iso, names, parts, plain, reader

# DynamoDB refuses items over 400 KB (409,600 bytes). The rest is for what the ledger adds: keys, fence, lease.
ITEM_BUDGET = 400_000
# For the messages of all inputs together, once they must be cut; what 500 inputs are besides takes up to 85,000.
MESSAGE_BUDGET = 200_000
# Compressed, a repetitive text of any size would fit; an API answer, limited to 6 MB by Lambda, would not.
BODY_CHARACTERS = 1_000_000
REASON_CHARACTERS = 4_000
SMALL = 50_000  # characters of all texts together: with four bytes each they leave room for all the rest

SHARDS = 8  # over which the waiting outcomes of a portal are spread: DynamoDB writes a key 1,000 times a second at most
VERIFY = "VERIFY"  # in place of a status, in the index of pairs that are to be read

# How a field is read, by its type as the class spells it.
_LEAVES: dict[str, Reader] = {
    "Category": Category,
    "datetime": datetime.fromisoformat,
    "Result": Result,
    "Status": Status,
    "Trigger": Trigger,
    "Verdict": Verdict,
}
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_input, _attempt = reader(InputOutcome, _LEAVES), reader(Attempt, _LEAVES)
# An input is a row of its category, type, number and result, and then the id that superseded it, or all that there is
# besides. An attempt is a row as well: names that stand in every row would make an ordinary item one write unit larger.
_CATEGORIES = {
    Category.HUBSPOT_DEFINED: "H",
    Category.USER_DEFINED: "U",
    Category.INTEGRATOR_DEFINED: "I",
    Category.WORK: "W",
}
_RESULTS = {
    Result.PENDING: "P",
    Result.APPLIED: "A",
    Result.UNCHANGED: "=",
    Result.REJECTED: "R",
    Result.SUPERSEDED: "S",
    Result.UNCONFIRMED: "?",
}
_CATEGORY = {letter: category for category, letter in _CATEGORIES.items()}
_RESULT = {letter: result for result, letter in _RESULTS.items()}
_IN_EVERY_ROW = {"result", *(each.name for each in fields(LimitInput))}
_MORE = tuple((each.name, camel(each.name)) for each in fields(InputOutcome) if each.name not in _IN_EVERY_ROW)
_ATTEMPT = tuple(each.name for each in fields(Attempt))
_SAME = 0  # in place of an attempt's correlation id: the one of HubSpot's answer
# What HubSpot's answers mostly consist of: with it they take half the bytes. It must stay as it is, for what is stored
# can be read by it alone; another one would need a name in the item.
_WORDS = (
    b'},"errors":[{"status":"error","category":"VALIDATION_ERROR","subCategory":"","message":"","context":{"numErrors":'
    b'"correlationId":"","category":"INTEGRATOR_DEFINED","category":"WORK","category":"HUBSPOT_DEFINED",'
    b'{"status":"COMPLETE","results":[{"category":"USER_DEFINED","typeId":1,"fromObjectTypeId":"0-1",'
    b'"toObjectTypeId":"0-3","maxToObjectIds":500000,"userEnforcedMaxToObjectIds":5,"label":"'
    b'}],"startedAt":"2026-11-2T0:.Z","completedAt":"2026-11-2T0:.Z"}'
)


def _packed(item: InputOutcome) -> list[Any]:
    more: Any = parts(item, _MORE)
    if more.keys() == {"supersededBy"}:
        more = item.superseded_by
    row = [_CATEGORIES[item.category], item.type_id, item.max_to_object_ids, _RESULTS[item.result]]
    return [*row, more] if more else row


def _unpacked(row: Any) -> InputOutcome:
    if isinstance(row, dict):  # outcomes of older versions have the names of the fields in each
        return _input(row)
    category, type_id, number, result, *more = row
    if not more:
        return InputOutcome(_CATEGORY[category], type_id, number, result=_RESULT[result])
    known = {"category": _CATEGORY[category], "typeId": type_id, "maxToObjectIds": number, "result": _RESULT[result]}
    return _input({**known, **(more[0] if isinstance(more[0], dict) else {"supersededBy": more[0]})})


def _row(attempt: Attempt, correlation_id: str | None) -> list[Any]:
    row = [plain(getattr(attempt, name)) for name in _ATTEMPT]
    if correlation_id and attempt.correlation_id == correlation_id:
        row[_ATTEMPT.index("correlation_id")] = _SAME
    while row[-1] is None:
        row.pop()
    return row


def _of_row(row: Any, correlation_id: str | None) -> dict[str, Any]:
    if isinstance(row, dict):  # of an older version
        return row
    known = {camel(name): value for name, value in zip(_ATTEMPT, row, strict=False)}
    if known.get("correlationId") == _SAME:
        known["correlationId"] = correlation_id
    return known


_outcome = reader(
    Outcome,
    {
        **_LEAVES,
        "HubSpotResponse": reader(HubSpotResponse, _LEAVES),
        "Doubt": reader(Doubt, _LEAVES),
        "tuple[InputOutcome, ...]": lambda rows: tuple(map(_unpacked, rows)),
        "tuple[Attempt, ...]": lambda rows: tuple(map(_attempt, rows)),
    },
)


def from_outcome(outcome: Outcome, only: Collection[str] = ()) -> dict[str, Any]:
    """The attributes of an outcome, or `only` some of them, with texts cut and marked as cut where they must be to fit
    one item with the others."""
    item = _attributes(outcome, only)
    # Nearly every item is small, and to see so costs a fraction of counting its bytes.
    if sum(map(_length, item.values())) <= SMALL:
        return item
    item = _whole(outcome)
    return {name: part for name, part in item.items() if name in only} if only else item


def _whole(outcome: Outcome) -> dict[str, Any]:
    item = _attributes(outcome)
    if size(item) <= ITEM_BUDGET:
        return item
    allowance = MESSAGE_BUDGET // max(1, len(outcome.inputs))
    shorter = (replace(item, message=_cut_bytes(item.message or "", allowance) or None) for item in outcome.inputs)
    item = _attributes(replace(outcome, inputs=tuple(shorter)))
    body = outcome.hubspot.body if outcome.hubspot and outcome.hubspot.body else ""
    kept = len(body)
    while size(item) > ITEM_BUDGET and kept:
        kept //= 2  # nobody knows before how well a text compresses: a few halvings reach any budget
        _keep_body(item, body, kept)
    return item


def to_outcome(item: Mapping[str, Any]) -> Outcome:
    """An outcome from an item's attributes, without the ledger's own."""
    values = dict(item)
    hubspot = values.get("hubspot", {})
    if body := hubspot.get("body"):
        values["hubspot"] = {**hubspot, "body": _decompressed(body)}
    for name in ("inputs", "attempts"):
        if isinstance(rows := values.get(name), str):  # outcomes of older versions have their inputs as maps
            values[name] = json.loads(rows)
    if attempts := values.get("attempts"):
        values["attempts"] = [_of_row(row, hubspot.get("correlationId")) for row in attempts]
    return _outcome(values)


def size(value: object) -> int:
    """The bytes that DynamoDB counts for a value, rounded up: names and text in UTF-8, 21 for a number, 3 for a
    container and 1 for each of its elements (Developer Guide, item sizes and formats)."""
    if isinstance(value, Mapping):
        return 3 + sum(len(str(name).encode()) + size(element) + 1 for name, element in value.items())
    if isinstance(value, (list, tuple)):
        return 3 + sum(size(element) + 1 for element in value)
    if isinstance(value, (bytes, bytearray)):
        return len(value)
    if isinstance(value, str):
        return len(value.encode())
    return 21


def _length(value: object) -> int:
    if isinstance(value, (str, bytes)):
        return len(value)
    return sum(map(_length, value.values())) if isinstance(value, dict) else 1


def _attributes(outcome: Outcome, only: Collection[str] = ()) -> dict[str, Any]:
    rows = ("inputs", "attempts")
    item = parts(outcome, [each for each in names(Outcome) if each[0] not in rows and (not only or each[1] in only)])
    # One JSON text each: nobody searches for an input or an attempt, and maps take several times as long to encode.
    if not only or "inputs" in only:
        item["inputs"] = _json.encode(list(map(_packed, outcome.inputs)))
    if outcome.attempts and (not only or "attempts" in only):
        answered = outcome.hubspot.correlation_id if outcome.hubspot else None
        item["attempts"] = _json.encode([_row(each, answered) for each in outcome.attempts])
    if "reason" in item:
        item["reason"] = _cut(item["reason"], REASON_CHARACTERS)
    if outcome.hubspot and outcome.hubspot.body is not None:
        _keep_body(item, outcome.hubspot.body, BODY_CHARACTERS)
    return item


def _keep_body(item: dict[str, Any], body: str, characters: int) -> None:
    item["hubspot"]["body"] = _compressed(_cut(body, characters))
    item["hubspot"]["verbatim"] &= len(body) <= characters  # a body that was cut cannot be an answer


@lru_cache(maxsize=8)  # the requests of one call have one answer
def _compressed(text: str) -> bytes:
    compressor = zlib.compressobj(zdict=_WORDS)
    return compressor.compress(text.encode(errors="replace")) + compressor.flush()


def _decompressed(body: bytes) -> str:
    """Also what an older version has compressed, which knew no words."""
    return zlib.decompressobj(zdict=_WORDS).decompress(body).decode()


def _cut_bytes(text: str, most: int) -> str:
    whole = text.encode()
    if len(whole) <= most:
        return text
    mark = f"… [cut: {len(whole)} bytes in all]"
    return whole[: most - len(mark.encode())].decode(errors="ignore") + mark


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]}… [cut: {characters} of {len(text)} characters]"


def pair_key(portal: str, from_type: str, to_type: str) -> str:
    """The partition of the index by pair: by the types' ids, or as they are spelt while nobody knows these."""
    return f"{portal}#{from_type}#{to_type}"


def pairs_key(portal: str) -> str:
    """The partition of the index by pair that has the pairs of a portal."""
    return f"{portal}#PAIRS"


def status_key(portal: str, status: str) -> str:
    """The partition of the index by status: of an outcome, or of a pair that is to be verified."""
    return f"{portal}#{status}"


def status_attributes(portal: str, status: Status) -> dict[str, Any]:
    """What an item has of its status. In the index by status is what people look for, and what the sweep must find: so
    nothing that went well."""
    if status is Status.COMPLETE:
        return {"status": status}
    return {"status": status, "statusKey": status_key(portal, status)}


def shard(pair: str) -> int:
    """In which of a portal's partitions of the index by due time a pair is, its types as they are spelt."""
    return crc32(pair.encode()) % SHARDS


def open_partition(portal: str, number: int) -> str:
    """A partition of the index by due time, which has what waits in the ledger for some pairs of a portal."""
    return f"open#{portal}#{number}"


def waiting_attributes(outcome: Outcome) -> dict[str, Any]:
    """What an item has that the dispatcher is to find: sorted by pair, so that one look tells that a pair has some, and
    then by when it is due."""
    if not outcome.parked or outcome.retry_at is None:
        return {}
    pair = f"{outcome.from_object_type}#{outcome.to_object_type}"
    return {
        "dueKey": open_partition(outcome.portal, shard(pair)),
        "dueSort": f"{pair}#{iso(outcome.retry_at)}#{outcome.id}",
    }
