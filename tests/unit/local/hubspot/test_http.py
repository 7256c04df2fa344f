"""The stand-in's HubSpot operations over HTTP, in process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from local.hubspot.access import Token
from local.hubspot.server import MAX_BODY_BYTES, create_app
from local.hubspot.service import Call, StandIn

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "/crm/associations/2026-03"
PAIR = f"{PREFIX}/definitions/configurations/deals/contacts"
OBJECT = {"category": "HUBSPOT_DEFINED", "typeId": 3}
LABEL = {"category": "USER_DEFINED", "typeId": 35}
UNKNOWN = {"category": "USER_DEFINED", "typeId": 99}
NOON = 1_800_100_800.0  # 2027-01-16T12:00:00Z


class HubSpot(TestClient):
    """An in-process stand-in whose clock moves only when told."""

    def __init__(self) -> None:
        self.moment = NOON
        app = create_app("token-of-the-test", clock=lambda: self.moment, new_id=lambda: "an-id")
        super().__init__(app, headers={"Authorization": "Bearer token-of-the-test"})

    def set_limits(self, operation: str, *inputs: dict[str, Any], path: str = PAIR) -> Any:
        return self.post(f"{path}/batch/{operation}", json={"inputs": inputs})

    def limits(self, path: str = PAIR) -> list[tuple[str, int, int]]:
        rows = self.get(path).json()["results"]
        return [(row["category"], row["typeId"], row["userEnforcedMaxToObjectIds"]) for row in rows]

    def switch(self, **changes: object) -> None:
        assert self.patch("/_standin/settings", json=changes).status_code == 200


@pytest.fixture
def hubspot() -> HubSpot:
    return HubSpot()


def limit(of: dict[str, Any], number: object) -> dict[str, Any]:
    return {**of, "maxToObjectIds": number}


def test_a_batch_that_succeeds_answers_with_hubspots_fields_and_is_read_back(hubspot: HubSpot) -> None:
    answer = hubspot.set_limits("create", limit(OBJECT, 5), limit(LABEL, 1))

    assert answer.status_code == 201
    assert answer.json() == {
        "status": "COMPLETE",
        "startedAt": "2027-01-16T12:00:00.000Z",
        "completedAt": "2027-01-16T12:00:00.000Z",
        "results": [
            {**OBJECT, "label": None, "userEnforcedMaxToObjectIds": 5},
            {**LABEL, "label": "Decision maker", "userEnforcedMaxToObjectIds": 1},
        ],
    }
    assert answer.headers["X-HubSpot-Correlation-Id"] == "an-id"
    assert answer.headers["X-HubSpot-RateLimit-Remaining"] == "189"
    assert hubspot.limits() == [("HUBSPOT_DEFINED", 3, 5), ("USER_DEFINED", 35, 1)]


def test_bad_inputs_are_refused_alone_with_207_and_no_index(hubspot: HubSpot) -> None:
    answer = hubspot.set_limits("create", limit(UNKNOWN, 5), limit(OBJECT, 5), limit(LABEL, 6))

    body = answer.json()
    assert answer.status_code == 207
    assert [row["typeId"] for row in body["results"]] == [3]
    assert body["numErrors"] == 2
    assert [error["context"]["typeId"] for error in body["errors"]] == [["99"], ["35"]]
    assert not any("index" in error for error in body["errors"])
    assert hubspot.limits() == [("HUBSPOT_DEFINED", 3, 5)]


def test_a_batch_whose_inputs_are_all_refused_is_still_complete(hubspot: HubSpot) -> None:
    hubspot.switch(errorContext="none")

    body = hubspot.set_limits("create", limit(UNKNOWN, 5)).json()
    assert (body["status"], body["results"], body["numErrors"]) == ("COMPLETE", [], 1)
    assert body["errors"][0]["context"] == {}


def test_one_bad_input_fails_the_batch_where_the_switch_says_so(hubspot: HubSpot) -> None:
    hubspot.switch(badInput="batch")

    answer = hubspot.set_limits("create", limit(OBJECT, 5), limit(UNKNOWN, 5))
    assert answer.status_code == 400
    assert (answer.json()["status"], answer.json()["category"]) == ("error", "VALIDATION_ERROR")
    assert len(answer.json()["errors"]) == 1
    assert hubspot.limits() == []


def test_success_is_200_or_201_as_the_switch_says(hubspot: HubSpot) -> None:
    hubspot.switch(successStatus=200)
    assert hubspot.set_limits("create", limit(OBJECT, 5)).status_code == 200


def test_an_update_echoes_no_label(hubspot: HubSpot) -> None:
    answer = hubspot.set_limits("update", limit(OBJECT, 5))
    assert answer.status_code == 200
    assert answer.json()["results"] == [{**OBJECT, "userEnforcedMaxToObjectIds": 5}]


def test_a_purge_takes_limits_away_set_or_not(hubspot: HubSpot) -> None:
    hubspot.set_limits("create", limit(OBJECT, 5))

    answer = hubspot.set_limits("purge", OBJECT, LABEL)
    assert (answer.status_code, answer.content) == (204, b"")
    assert hubspot.limits() == []

    hubspot.switch(purgeStatus=200)
    assert hubspot.set_limits("purge", OBJECT).json()["results"][0]["userEnforcedMaxToObjectIds"] is None


def test_spellings_and_versions_are_one_pair_and_directions_are_two(hubspot: HubSpot) -> None:
    hubspot.set_limits("create", limit(OBJECT, 5))

    same = "/crm/associations/2026-09/definitions/configurations/0-3/Contact"
    other_way = f"{PREFIX}/definitions/configurations/contacts/deals"
    assert hubspot.limits(same) == [("HUBSPOT_DEFINED", 3, 5)]
    assert hubspot.limits(other_way) == []


def test_reading_all_does_not_name_the_object_types(hubspot: HubSpot) -> None:
    hubspot.set_limits("create", limit(OBJECT, 5))
    rows = hubspot.get(f"{PREFIX}/definitions/configurations/all").json()["results"]
    assert rows == [{**OBJECT, "label": None, "userEnforcedMaxToObjectIds": 5}]


def test_labels_name_the_unlabelled_type_with_null(hubspot: HubSpot) -> None:
    rows = hubspot.get(f"{PREFIX}/deals/companies/labels").json()["results"]
    assert {**OBJECT, "typeId": 341, "label": None} in rows
    assert {**OBJECT, "typeId": 5, "label": "Primary"} in rows


@pytest.mark.parametrize(("switch", "number"), [("null", None), ("unlimited", 500_000)])
def test_unset_limits_are_read_as_the_switch_says(hubspot: HubSpot, switch: str, number: int | None) -> None:
    hubspot.switch(unsetLimit=switch)
    assert {row[2] for row in hubspot.limits()} == {number}


def test_reads_lag_behind_writes_by_the_seconds_switched(hubspot: HubSpot) -> None:
    hubspot.switch(readLagSeconds=40)
    hubspot.set_limits("create", limit(OBJECT, 5))

    hubspot.moment = NOON + 39
    assert hubspot.limits() == []
    hubspot.moment = NOON + 40
    assert hubspot.limits() == [("HUBSPOT_DEFINED", 3, 5)]


def test_accounts_do_not_share_limits(hubspot: HubSpot) -> None:
    hubspot.post("/_standin/tokens", json={"name": "acme", "token": "other", "hubId": 2})
    hubspot.set_limits("create", limit(OBJECT, 5))
    assert hubspot.get(PAIR, headers={"Authorization": "Bearer other"}).json() == {"results": []}


@pytest.mark.parametrize(
    ("form", "context"), [("map", {"missingScopes": ["a", "b"]}), ("string", "{missingScopes=[a, b]}")]
)
def test_a_missing_scope_is_named_in_either_form(hubspot: HubSpot, form: str, context: object) -> None:
    token = {"name": "poor", "token": "poor", "state": "missingScope", "missingScopes": ["a", "b"]}
    hubspot.post("/_standin/tokens", json=token)
    hubspot.switch(scopeContext=form)

    answer = hubspot.get(PAIR, headers={"Authorization": "Bearer poor"})
    assert answer.status_code == 403
    assert answer.json()["errors"][0]["context"] == context


def test_calls_above_a_limit_get_hubspots_429_without_retry_after(hubspot: HubSpot) -> None:
    hubspot.switch(tenSecondlyLimit=1, dailyLimit=2)

    statuses = [hubspot.get(PAIR).status_code for _ in range(2)]
    rolling = hubspot.get(PAIR)
    hubspot.moment += 10
    hubspot.get(PAIR)
    daily = hubspot.get(PAIR)

    assert statuses == [200, 429]
    assert (rolling.json()["errorType"], rolling.json()["policyName"]) == (
        "RATE_LIMIT",
        "TEN_SECONDLY_ROLLING",
    )
    assert daily.json()["policyName"] == "DAILY"
    assert "Retry-After" not in rolling.headers


@pytest.mark.parametrize(
    ("ask", "status"),
    [
        (lambda h: h.get(PAIR, headers={"Authorization": "Bearer nobody"}), 401),
        (lambda h: h.get(PAIR.replace("deals", "dealz")), 400),
        (lambda h: h.get(PAIR.replace("2026-03", "v4")), 404),
        (lambda h: h.get(PAIR.replace("2026-03", "2026-13")), 404),
        (lambda h: h.get(f"{PAIR}/"), 404),
        (lambda h: h.get("/account-info/v1/details"), 404),
        (lambda h: h.get("/account-info/2026-03/details", headers={"Authorization": "Bearer nobody"}), 401),
        (lambda h: h.post("/oauth/v3/token"), 404),
        (lambda h: h.get("/oauth/2026-03/token"), 405),
        (lambda h: h.delete(PAIR), 405),
        (lambda h: h.set_limits("create"), 400),
        (lambda h: h.set_limits("create", *[limit(OBJECT, 5)] * 101), 400),
        (lambda h: h.set_limits("create", limit(OBJECT, "5")), 400),
        (lambda h: h.post(f"{PAIR}/batch/create", content=b"["), 400),
        (lambda h: h.post(f"{PAIR}/batch/create", content=b" " * (MAX_BODY_BYTES + 1)), 413),
    ],
)
def test_every_refusal_has_hubspots_error_shape(hubspot: HubSpot, ask: Callable[[HubSpot], Any], status: int) -> None:
    answer = ask(hubspot)
    assert answer.status_code == status
    assert {"status", "message", "correlationId", "category"} <= set(answer.json())
    assert answer.json()["status"] == "error"
    assert answer.headers["X-HubSpot-Correlation-Id"] == answer.json()["correlationId"]


@settings(max_examples=50)
@given(
    st.sampled_from(["create", "update", "purge", "read", "labels", "token", "account", "schema"]),
    st.sampled_from(["2026-03", "x"]) | st.text(),
    st.sampled_from(["deals", "0-1"]) | st.text(),
    st.sampled_from(["deals", "0-1"]) | st.text(),
    st.sampled_from(["Bearer t"]) | st.text(),
    st.sampled_from([b'{"inputs":[]}']) | st.binary(),
)
def test_any_call_at_all_is_answered_and_journalled(
    operation: str, version: str, from_type: str, to_type: str, authorization: str, body: bytes
) -> None:
    standin = StandIn([Token(name="t", token="t")], clock=lambda: NOON, new_id=lambda: "an-id")
    call = Call(operation, "POST", "/", authorization, body, version, from_type, to_type, object_type=from_type)

    answer = standin.receive(call).finish()

    entry = standin.journal.entries()[0].as_json()
    assert answer.status in (200, 400, 401, 404)
    assert entry["status"] == answer.status
    assert answer.headers["X-HubSpot-Correlation-Id"] == entry["correlationId"]
