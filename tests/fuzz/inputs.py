"""What comes in: valid, nearly valid, and nothing of the kind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.events import KEY, event, let_in

VALID: dict[str, Any] = {
    "portal": "default",
    "fromObjectType": "deals",
    "toObjectType": "contacts",
    "inputs": [{"category": "HUBSPOT_DEFINED", "typeId": 3, "maxToObjectIds": 5}],
}
ANSWER: dict[str, Any] = {
    "status": "COMPLETE",
    "startedAt": "2026-11-24T09:00:00.000Z",
    "completedAt": "2026-11-24T09:00:00.000Z",
    "results": [{"category": "HUBSPOT_DEFINED", "typeId": 3, "label": None, "userEnforcedMaxToObjectIds": 5}],
    "numErrors": 1,
    "errors": [
        {"status": "error", "message": "typeId 3 is bad", "context": {"typeId": ["3"]}, "category": "VALIDATION_ERROR"}
    ],
    "message": "static-1 is not good",  # the token itself, as a server might repeat it
    "policyName": "DAILY",
}
WORDS = [
    *("", "default", "acme", "deals", "0-3", "contacts", "HUBSPOT_DEFINED", "USER_DEFINED", "COMPLETE", "PENDING"),
    *(
        "\x00",
        "\x1b[2J",
        "../..",
        "%2e%2e",
        "budget#default",
        "portal#default",
        "a" * 300,
        "\U0001f4a9",
        "\u202e",
        "null",
        "-1",
    ),
]
TIMES = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1795510800"]
NUMBERS = [0, -1, 1, 3, 2**31 - 1, 2**31, 2**63, 10**400, 0.5, 1e308, True]


def any_of(*strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One of these, the more often the more often it is named: hypothesis's own one_of takes each once."""
    return st.sampled_from(strategies).flatmap(lambda strategy: strategy)


scalars = st.one_of(st.none(), st.sampled_from(NUMBERS), st.integers(), st.sampled_from(WORDS), st.text(max_size=20))
names = st.one_of(
    st.sampled_from([*VALID, *VALID["inputs"][0], *ANSWER, "idempotencyKey", "requestedBy", "detail"]),
    st.text(max_size=8),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)


@st.composite
def nearly(draw: st.DrawFn, valid: Any) -> Any:
    """A valid value of which one part, at any depth, is another, is not there, or has something beside it."""
    if not isinstance(valid, dict | list) or not valid or draw(st.integers(0, 3)) == 0:
        return draw(values)
    if isinstance(valid, list):
        index = draw(st.integers(0, len(valid) - 1))
        return [*valid[:index], draw(nearly(valid[index])), *valid[index + 1 :]] * draw(
            st.sampled_from([0, 1, 1, 1, 2])
        )
    changed = dict(valid)
    name = draw(st.sampled_from(sorted(valid)))
    match draw(st.integers(0, 5)):
        case 0:
            del changed[name]
        case 1:
            changed[draw(names)] = draw(values)
        case _:
            changed[name] = draw(nearly(valid[name]))
    return changed


def documents(valid: Any) -> st.SearchStrategy[Any]:
    """Values of JSON: valid ones, nearly valid ones, and any."""
    return any_of(st.just(valid), nearly(valid), nearly(valid), values)


# Repeated only when they are drawn: hypothesis tells now and then what a strategy is made of, to the last letter.
ENDLESS = {"[": 100_000, '{"a":': 20_000, "1": 5_000}
NO_JSON = [
    *("", " ", "{", "nul", "NaN", "[NaN]", '{"inputs":Infinity}'),
    *('{"inputs":[],"inputs":[]}', '"\\ud800"', '{"inputs":[{"typeId":1e999}]}', "\ufeff{}", "{}\x00", "'a'"),
    *ENDLESS,
]


def texts(valid: Any) -> st.SearchStrategy[str]:
    """Texts that are JSON, nearly JSON, or none."""
    dumped = documents(valid).map(json.dumps)
    cut = st.tuples(dumped, st.integers(0, 200)).map(lambda pair: pair[0][: pair[1]])
    none = st.sampled_from(NO_JSON).map(lambda text: text * ENDLESS.get(text, 1))
    return any_of(dumped, dumped, dumped, cut, none, none, st.text(max_size=50))


# -------------------------------------------------------------------------------------------------------- the webhook
PATH = "/crm/associations/2026-03/definitions/configurations/deals/contacts/batch/create"
segments = st.one_of(
    st.sampled_from(["2026-03", "1999-01", "deals", "0-3", "..", "%2F", "a/b", "", " ", "x" * 200]), st.text(max_size=8)
)
paths = st.one_of(
    st.just(PATH),
    st.just(f"/portals/acme{PATH}"),
    st.tuples(segments, segments, segments, segments).map(
        lambda s: f"/portals/{s[0]}/crm/associations/{s[1]}/definitions/configurations/{s[2]}/{s[3]}/batch/create"
    ),
    segments.map(lambda s: f"/outcomes/{s}"),
    segments.map(lambda s: f"/outcomes/{s}/replay"),
    st.just("/outcomes"),
    st.text(max_size=20).map(lambda s: f"/{s}"),
)
header_texts = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Authorization": any_of(
            *[st.just(f"Bearer {KEY}")] * 8, st.sampled_from(["Bearer", "Bearer x", f"Basic {KEY}", ""]), header_texts
        ),
        "Content-Type": any_of(
            *[st.just("application/json")] * 8,
            st.sampled_from(["text/plain", "Application/JSON; charset=utf-8", ""]),
            header_texts,
        ),
        "Idempotency-Key": st.one_of(st.sampled_from(WORDS), header_texts),
        "Prefer": st.one_of(st.just("respond-async"), header_texts),
        "X-HubSpot-Signature-v3": header_texts,
        "X-HubSpot-Request-Timestamp": st.one_of(st.just("1795510800000"), header_texts),
    },
)
queries = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from(["portal", "from", "to", "status", "since", "limit", "after", "all", "x"]),
        st.one_of(
            st.sampled_from(
                ["default", "nobody", "deals", "COMPLETE", "2026-11-24T09:00:00Z", "10", "-1", "1e9", "true", *TIMES]
            ),
            st.text(max_size=20),
        ),
        max_size=4,
    ),
)


bodies = texts({"inputs": VALID["inputs"]})
calls = st.builds(
    event,
    st.just("POST"),
    st.sampled_from([PATH, PATH, f"/portals/acme{PATH}", f"/portals/nobody{PATH}"]),
    headers,
    st.none(),
    bodies,
    base64=st.booleans(),
)
reads = st.builds(event, st.just("GET"), st.just("/outcomes"), headers, queries, st.none(), base64=st.just(False))
anything = st.builds(
    event,
    st.sampled_from(["POST", "POST", "GET", "GET", "PUT", "DELETE", "HEAD", "X"]),
    paths,
    headers,
    queries,
    st.one_of(st.none(), bodies),
    base64=st.booleans(),
)
inside = any_of(calls, calls, calls, reads, anything).map(let_in)
webhook_inputs = any_of(calls, anything, inside, inside, inside)

# --------------------------------------------------------------------------------------------- the queue, the schedule
queue_inputs = st.tuples(texts(VALID), st.none() | st.sampled_from(WORDS))
rules = {"id": "b1f5", "time": "2026-11-24T09:00:00Z", "detail-type": "limits", "detail": VALID}
early = {**rules, "time": TIMES[0]}
schedule_inputs = st.one_of(documents(VALID), documents(rules), documents(early))


# ------------------------------------------------------------------------------------------------- HubSpot's answers
@dataclass(frozen=True)
class Said:
    """An answer of HubSpot's, or of who answers in its place."""

    status: int
    headers: dict[str, str]
    body: bytes


said_headers = st.fixed_dictionaries(
    {},
    optional={
        "X-HubSpot-RateLimit-Max": st.sampled_from(["190", "0", "-1", "9" * 30, "x", ""]),
        "X-HubSpot-RateLimit-Interval-Milliseconds": st.sampled_from(["10000", "0", "1", "9" * 30]),
        "X-HubSpot-RateLimit-Remaining": st.sampled_from(["0", "189", "-5", "9" * 30]),
        "X-HubSpot-Correlation-Id": header_texts,
        "Retry-After": st.sampled_from(["0", "1", "86400", "9" * 30, "-1", "soon"]),
        "Content-Type": st.sampled_from(["application/json", "text/html"]),
        "Location": st.just("https://elsewhere.example.com/"),
    },
)
STATUSES = [
    200,
    201,
    202,
    204,
    207,
    299,
    100,
    301,
    302,
    307,
    400,
    401,
    403,
    404,
    405,
    409,
    413,
    414,
    415,
    422,
    423,
    429,
]
answers = st.builds(
    Said,
    st.sampled_from([*STATUSES, 200, 201, 207, 477, 500, 502, 503, 504, 520, 521, 522, 524, 525, 526, 599, 600, 999]),
    said_headers,
    st.one_of(texts(ANSWER).map(lambda text: text.encode(errors="replace")), st.binary(max_size=40)),
)
said_inputs = st.lists(answers, min_size=1, max_size=4)
