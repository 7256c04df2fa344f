"""A custom object is one type under all its names, as the stand-in's schema tells, on the local stack."""

from __future__ import annotations

from tests.e2e.deployed import LocalStack

TYPE = {"category": "USER_DEFINED", "typeId": 777}


def test_a_custom_object_is_one_type_under_all_its_names(local: LocalStack) -> None:
    local.standin("POST", "objects", {"objectTypeId": "2-456", "name": "car"})
    local.standin("POST", "types", {"fromObjectType": "2-456", "toObjectType": "contacts", **TYPE, "label": "Driver"})

    by_name = local.create("p_car", "contacts", {**TYPE, "maxToObjectIds": 5}, Idempotency_Key="one car")
    by_id = local.create("2-456", "CONTACT", {**TYPE, "maxToObjectIds": 9})
    again = local.create("p_car", "0-1", {**TYPE, "maxToObjectIds": 5}, Idempotency_Key="one car")

    assert (by_name.status_code, by_id.status_code) == (201, 201)
    assert again.headers["Outcome-Id"] == by_name.headers["Outcome-Id"]
    assert local.limits("2-456", "contacts")["USER_DEFINED", 777] == 9
    listed = local.call("GET", "/outcomes", params={"from": "p_car", "to": "contacts"}).json()["results"]
    assert {outcome["id"] for outcome in listed} == {by_name.headers["Outcome-Id"], by_id.headers["Outcome-Id"]}


def test_a_type_that_hubspot_does_not_know_is_rejected(local: LocalStack) -> None:
    answer = local.create("p_nothing", "contacts", {**TYPE, "maxToObjectIds": 5})

    assert (answer.status_code, answer.headers["Outcome-Status"]) == (400, "REJECTED")
    assert "HubSpot does not know the object type p_nothing" in answer.text
