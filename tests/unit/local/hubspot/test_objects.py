"""Custom objects of the stand-in: their names, their schema, and the pairs they are part of."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from local.hubspot.objects import CustomObject, CustomObjects
from local.hubspot.server import create_app

CONFIGURATIONS = "/crm/associations/2026-03/definitions/configurations"
SCHEMAS = "/crm-object-schemas/2026-03/schemas"
SITE = {"category": "USER_DEFINED", "typeId": 900}
CAR = {"hubId": 1, "objectTypeId": "2-456", "name": "car"}
SCHEMA_OF_CAR = {
    "id": "2-456",
    "objectTypeId": "2-456",
    "name": "car",
    "fullyQualifiedName": "p1_car",
    "labels": {"singular": "Car", "plural": "Cars"},
}
NAMES_OF_CAR = ["2-456", "p_car", "P_Car", "p1_car", "P1_CAR"]


class HubSpot(TestClient):
    """An in-process stand-in whose account 1 knows the custom object `car`; the token `other` is of account 2."""

    def __init__(self) -> None:
        super().__init__(create_app("token-of-the-test"), headers={"Authorization": "Bearer token-of-the-test"})
        self.ordered("tokens", name="acme", token="other", hubId=2)
        self.ordered("objects", **CAR)

    def ordered(self, path: str, **order: object) -> Any:
        answer = self.post(f"/_standin/{path}", json=order)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def add_type(self, from_type: str = "p_car", to_type: str = "deals") -> Any:
        return self.ordered("types", fromObjectType=from_type, toObjectType=to_type, label="Site", **SITE)

    def create(self, from_type: str, to_type: str = "deals", number: int = 5) -> Any:
        path = f"{CONFIGURATIONS}/{from_type}/{to_type}/batch/create"
        return self.post(path, json={"inputs": [{**SITE, "maxToObjectIds": number}]})

    def limits(self, from_type: str, to_type: str = "deals") -> list[int]:
        rows = self.get(f"{CONFIGURATIONS}/{from_type}/{to_type}").json()["results"]
        return [row["userEnforcedMaxToObjectIds"] for row in rows]


@pytest.fixture
def hubspot() -> HubSpot:
    return HubSpot()


@pytest.mark.parametrize("written", NAMES_OF_CAR)
def test_all_names_of_a_custom_object_name_the_same_pair(hubspot: HubSpot, written: str) -> None:
    hubspot.add_type()

    assert hubspot.create(written).status_code == 201
    assert [hubspot.limits(name) for name in NAMES_OF_CAR] == [[5]] * len(NAMES_OF_CAR)
    (portal,) = hubspot.get("/_standin/state").json()["portals"]
    assert [(each["fromObjectType"], each["toObjectType"]) for each in portal["limits"]] == [("2-456", "0-3")]


@pytest.mark.parametrize("written", NAMES_OF_CAR)
def test_an_association_type_is_added_by_any_name(hubspot: HubSpot, written: str) -> None:
    added = hubspot.add_type("contacts", written)

    assert (added["fromObjectType"], added["toObjectType"]) == ("0-1", "2-456")
    assert hubspot.get("/crm/associations/2026-03/contact/p_car/labels").json()["results"][0]["label"] == "Site"


def test_the_journal_keeps_the_spelling_of_the_call(hubspot: HubSpot) -> None:
    hubspot.limits("P_Car", "Deal")

    entry = hubspot.get("/_standin/journal").json()["entries"][-1]
    assert (entry["fromObjectType"], entry["toObjectType"]) == ("P_Car", "Deal")


@pytest.mark.parametrize("written", ["p_boat", "p2_car", "p01_car", "car", "cars", "p_", "p1_", "p_cars", "2-0"])
def test_a_name_that_the_account_does_not_know_is_no_object_type(hubspot: HubSpot, written: str) -> None:
    answer = hubspot.create(written)
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")
    assert written in answer.json()["message"]

    unknown = hubspot.get(f"{SCHEMAS}/{written}")
    assert (unknown.status_code, unknown.json()["category"]) == (404, "OBJECT_NOT_FOUND")
    assert unknown.json()["correlationId"] == unknown.headers["X-HubSpot-Correlation-Id"]


def test_accounts_do_not_share_custom_objects(hubspot: HubSpot) -> None:
    others = {"Authorization": "Bearer other"}
    assert hubspot.get(f"{SCHEMAS}/p_car", headers=others).status_code == 404

    hubspot.ordered("objects", hubId=2, objectTypeId="2-789", name="Car")
    own, their = hubspot.get(f"{SCHEMAS}/p_car"), hubspot.get(f"{SCHEMAS}/p_car", headers=others)
    assert (own.json()["objectTypeId"], their.json()["objectTypeId"]) == ("2-456", "2-789")
    assert their.json()["fullyQualifiedName"] == "p2_Car"


def test_a_bare_id_is_accepted_though_nobody_made_it_known_but_has_no_schema(hubspot: HubSpot) -> None:
    hubspot.add_type("2-77", "2-78")

    assert hubspot.create("2-77", "2-78").status_code == 201
    assert hubspot.limits("2-77", "2-78") == [5]
    assert hubspot.get(f"{SCHEMAS}/2-77").status_code == 404


@pytest.mark.parametrize("written", NAMES_OF_CAR)
def test_the_schema_of_a_custom_object_is_found_by_any_name(hubspot: HubSpot, written: str) -> None:
    answer = hubspot.get(f"{SCHEMAS}/{written}")
    assert (answer.status_code, answer.json()) == (200, SCHEMA_OF_CAR)


@pytest.mark.parametrize(
    ("written", "type_id", "name", "plural"),
    [
        ("deals", "0-3", "DEAL", "Deals"),
        ("Contact", "0-1", "CONTACT", "Contacts"),
        ("0-2", "0-2", "COMPANY", "Companies"),
        ("tickets", "0-5", "TICKET", "Tickets"),
        ("product", "0-7", "PRODUCT", "Products"),
        ("LINE_ITEMS", "0-8", "LINE_ITEM", "Line items"),
    ],
)
def test_hubspots_own_types_have_a_schema(hubspot: HubSpot, written: str, type_id: str, name: str, plural: str) -> None:
    schema = hubspot.get(f"{SCHEMAS}/{written}").json()
    assert (schema["id"], schema["objectTypeId"]) == (type_id, type_id)
    assert (schema["name"], schema["fullyQualifiedName"], schema["labels"]["plural"]) == (name, name, plural)


def test_a_schema_needs_a_token_and_quota_and_a_dated_version(hubspot: HubSpot) -> None:
    nobody = hubspot.get(f"{SCHEMAS}/deals", headers={"Authorization": "Bearer nobody"})
    undated = hubspot.get("/crm-object-schemas/v3/schemas/deals")
    hubspot.patch("/_standin/settings", json={"tenSecondlyLimit": 1})

    assert (nobody.status_code, undated.status_code) == (401, 404)
    assert [hubspot.get(f"{SCHEMAS}/deals").status_code for _ in range(2)] == [200, 429]


def test_a_schema_can_be_spoiled_and_is_journalled_without_a_pair(hubspot: HubSpot) -> None:
    hubspot.ordered("faults", operation="any", effect={"kind": "status", "status": 500})
    hubspot.ordered("faults", operation="schema", effect={"kind": "status", "status": 503})

    assert [hubspot.get(f"{SCHEMAS}/p_car").status_code for _ in range(2)] == [503, 200]
    entries = hubspot.get("/_standin/journal?operation=schema").json()["entries"]
    seen = [(each["path"], each["fromObjectType"], each["toObjectType"], each["status"]) for each in entries]
    assert seen == [(f"{SCHEMAS}/p_car", None, None, 503), (f"{SCHEMAS}/p_car", None, None, 200)]


@pytest.mark.parametrize("called", NAMES_OF_CAR)
@pytest.mark.parametrize("ordered", ["2-456", "p_car", "P1_Car"])
def test_a_fault_strikes_whatever_name_the_call_has(hubspot: HubSpot, ordered: str, called: str) -> None:
    hubspot.ordered("faults", fromObjectType=ordered, effect={"kind": "status", "status": 500})

    assert hubspot.create("2-457").status_code != 500
    assert hubspot.create("deals").status_code != 500
    assert hubspot.create(called).status_code == 500


def test_a_fault_can_name_a_custom_object_that_an_account_does_not_know(hubspot: HubSpot) -> None:
    hubspot.ordered("faults", toObjectType="p_boat", effect={"kind": "status", "status": 500})
    assert hubspot.create("p_car", "deals").status_code != 500

    hubspot.ordered("objects", objectTypeId="2-9", name="boat")
    assert hubspot.create("p_car", "2-9").status_code == 500


def test_custom_objects_are_listed_and_forgotten_with_the_state(hubspot: HubSpot) -> None:
    labelled = hubspot.ordered("objects", hubId=2, objectTypeId="2-9", name="mouse", singular="Mouse", plural="Mice")

    assert labelled["labels"] == {"singular": "Mouse", "plural": "Mice"}
    assert hubspot.get("/_standin/objects").json() == {"objects": [{"hubId": 1, **SCHEMA_OF_CAR}, labelled]}
    hubspot.delete("/_standin/state")
    assert hubspot.get("/_standin/objects").json() == {"objects": []}
    assert hubspot.get(f"{SCHEMAS}/p_car").status_code == 404


def test_a_custom_object_is_replaced_by_one_of_its_id() -> None:
    objects = CustomObjects()
    for name in ("car", "CAR", "van"):
        objects.add(CustomObject(object_type_id="2-456", name=name))

    assert [each.name for each in objects] == ["van"]
    assert (objects.type_id("p_van"), objects.type_id("p_car")) == ("2-456", None)


def test_no_two_custom_objects_of_an_account_have_one_name() -> None:
    objects = CustomObjects()
    objects.add(CustomObject(object_type_id="2-456", name="car"))

    with pytest.raises(ValueError, match="already has this name"):
        objects.add(CustomObject(object_type_id="2-457", name="Car"))
    assert [each.type_id for each in objects] == ["2-456"]


@pytest.mark.parametrize(
    ("path", "change", "named"),
    [
        ("objects", {"objectTypeId": "0-3"}, "objectTypeId: must be the id of a custom object"),
        ("objects", {"objectTypeId": 456}, "objectTypeId"),
        ("objects", {"name": "my car"}, "name"),
        ("objects", {"name": "1_car"}, "name"),
        ("objects", {"objectTypeId": "2-457"}, "name: another custom object already has this name"),
        ("types", {"fromObjectType": "p_boat"}, "fromObjectType: unknown object type 'p_boat'"),
        ("types", {"hubId": 2}, "fromObjectType: unknown object type 'p_car'"),
        ("types", {"toObjectType": 3}, "toObjectType"),
    ],
)
def test_a_bad_order_is_told_what_is_wrong(hubspot: HubSpot, path: str, change: dict[str, object], named: str) -> None:
    good = {"objects": CAR, "types": {"fromObjectType": "p_car", "toObjectType": "deals", "label": None, **SITE}}
    answer = hubspot.post(f"/_standin/{path}", json={**good[path], **change})
    assert answer.status_code == 400
    assert named in " ".join(answer.json()["errors"])
