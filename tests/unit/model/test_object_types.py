"""One type has many names, and one id."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.object_types import IDS, NAMES, object_type_id, spellings
from model.validation import object_type

own_names = st.sampled_from(sorted(IDS))
own_ids = st.sampled_from(sorted(NAMES))
ids = st.builds("{}-{}".format, st.integers(0, 10**9), st.integers(1, 10**9))


@pytest.mark.parametrize(
    ("name", "type_id"),
    [
        ("deals", "0-3"),
        ("deal", "0-3"),
        ("DEAL", "0-3"),
        ("Deals", "0-3"),
        ("0-3", "0-3"),
        ("line_items", "0-8"),
        ("line_item", "0-8"),
        ("companies", "0-2"),
        ("COMPANY", "0-2"),
        ("postal_mail", "0-116"),
        ("2-456", "2-456"),
        ("0-999999", "0-999999"),
    ],
)
def test_given_a_name_that_means_the_same_in_every_account_its_id_is_known(name: str, type_id: str) -> None:
    assert object_type_id(name) == type_id


@pytest.mark.parametrize("name", ["p_car", "p123_car", "car", "dealz", "", "payments", "0-0", "x-3", "0-3-1", "0-3\n"])
def test_what_only_hubspot_can_tell_is_not_known(name: str) -> None:
    assert object_type_id(name) is None


@pytest.mark.parametrize("name", ["0-03", "00-3", "02-456", "2-0456", "0-٣"])
def test_an_id_that_is_written_in_another_way_is_none(name: str) -> None:
    assert object_type_id(name) is None


@given(own_names, st.randoms())
def test_the_case_of_a_name_does_not_matter(name: str, chance: random.Random) -> None:
    written = "".join(chance.choice((letter.lower(), letter.upper())) for letter in name)

    assert object_type_id(written) == object_type_id(name) == IDS[name]


@given(ids)
def test_an_id_is_its_own(type_id: str) -> None:
    assert object_type_id(type_id) == type_id


@given(own_ids)
def test_every_spelling_of_a_type_is_a_name_of_it_that_a_request_may_have(type_id: str) -> None:
    written = spellings(type_id)

    assert {object_type_id(name) for name in written} == {type_id}
    assert [object_type(name) for name in written] == list(written)
    assert len(set(written)) == len(written)


def test_a_type_of_hubspots_own_has_its_id_and_its_names_as_spellings() -> None:
    assert spellings("0-3") == ("0-3", "deals", "Deals", "DEALS", "deal", "Deal", "DEAL")
    assert spellings("0-116") == ("0-116", "postal_mail", "Postal_mail", "POSTAL_MAIL")


@pytest.mark.parametrize("type_id", ["2-456", "0-999999"])
def test_any_other_type_is_spelt_as_its_id(type_id: str) -> None:
    assert spellings(type_id) == (type_id,)


def test_no_name_means_two_types() -> None:
    assert len(IDS) == len({name for names in NAMES.values() for name in names})
    assert sum(len(set(names)) for names in NAMES.values()) == len(IDS)
