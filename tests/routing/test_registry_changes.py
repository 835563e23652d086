"""Two states of the registry and what lies between them; an entry in each of its forms."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings

from router.codec import Codec, PackagedSchemas
from router.routing.agencies import Agency, Code, Directory, Entry, Registry, Relation, Succession
from router.routing.registry_changes import Kind, changes_between, keeping_directory
from router.routing.registry_files import load_registry, write_registry
from router.routing.registry_records import entry_of, record_of
from router.sdk.records import reference
from tests.routing.registries import entries

CODEC = Codec(PackagedSchemas())


@given(entries(), entries())
def test_applying_all_changes_leads_from_one_state_to_the_other_and_no_prefix_names_what_is_yet_to_come(before, after):
    state = dict(before)
    for change in changes_between(before, after):
        own = change.entry.agency.id
        assert change.kind is (Kind.REMOVED if own not in after else Kind.CHANGED if own in before else Kind.ADDED)
        if change.kind is Kind.REMOVED:
            del state[own]
        else:
            state[own] = change.entry
            named = {change.entry.agency.parent, *(one.successor for one in change.entry.successions)} - {""}
            assert named <= state.keys()
    assert state == after


@given(entries())
def test_nothing_lies_between_a_state_and_itself(state):
    assert changes_between(state, dict(state)) == []


def test_a_change_says_what_differs_with_its_letters():
    old = Entry(Agency("so", "Sở Tài nguyên và Môi trường", "department"), (Code("H39.16", "so"),))
    new = Entry(
        Agency("so", "Sở Nông nghiệp và Môi trường", "department"), (Code("H39.16", "so"), Code("H39.17", "so"))
    )
    (change,) = changes_between({"so": old}, {"so": new})
    assert change.differences == (
        "name: Sở Tài nguyên và Môi trường → Sở Nông nghiệp và Môi trường",
        "codes: H39.16 → H39.16, H39.17",
    )


def test_what_the_directory_said_stays_where_files_do_not_say_it():
    said = Directory(7, None, True, "000.00.00.H39")
    known = {"so": Entry(Agency("so", "Sở", "department", directory=said))}
    plain = {"so": Entry(Agency("so", "Sở", "department")), "xa": Entry(Agency("xa", "Xã", "commune"))}
    assert changes_between(known, keeping_directory(known, plain)) == changes_between({}, {"xa": plain["xa"]})
    newer = {"so": Entry(Agency("so", "Sở", "department", directory=Directory(8)))}
    (change,) = changes_between(known, keeping_directory(known, newer))
    assert "directory_version: 7 → 8" in change.differences


@given(entries())
def test_an_entry_comes_back_from_the_bytes_of_its_record(state):
    for entry in state.values():
        payload = CODEC.encode("reference.agency_changed", record_of(entry).model_dump())
        record = reference.Agency.model_validate(CODEC.decode(payload))
        assert entry_of(record) == entry
        assert entry_of(reference.Agency.model_validate(record.model_dump(mode="json"))) == entry


@given(entries())
@settings(max_examples=30)
def test_a_registry_comes_back_from_its_files(state):
    with TemporaryDirectory() as folder:
        write_registry(Path(folder), Registry.of("v", state.values()))
        assert load_registry(Path(folder)).entries() == state


def test_a_record_of_the_first_version_is_read_with_what_it_says():
    record = reference.Agency(
        agency_id="4711",
        name="UBND huyện Bến Lức",
        code="H39.25",
        old_code="000.00.25.H39",
        parent="39",
        valid_to=date(2025, 7, 1),
        status=reference.AgencyStatus.SPLIT,
        successors=("101", "102"),
    )
    entry = entry_of(record)
    assert [code.value for code in entry.codes] == ["H39.25", "000.00.25.H39"]
    assert entry.successions == tuple(
        Succession("4711", Relation.SPLIT_INTO, successor, date(2025, 7, 1)) for successor in ("101", "102")
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"agency_id": ""}, "agency_id"),
        ({"name": ""}, "name"),
        ({"valid_to": date(2025, 7, 1), "grace_until": date(2025, 6, 1)}, "grace_until"),
        ({"successions": [{"relation": "UNKNOWN", "successor": "b"}]}, "relation"),
    ],
)
def test_a_record_that_makes_no_agency_is_refused_with_what_is_wrong(changed, said):
    values = {"agency_id": "a", "name": "A", "status": "ACTIVE", **changed}
    with pytest.raises(ValueError, match=said):
        entry_of(reference.Agency.model_validate(values))
