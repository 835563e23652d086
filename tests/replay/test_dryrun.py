"""What the dry run says of a dead letter, and whether it is safe to send it again."""

from __future__ import annotations

import pytest

from router.ledger.rows import Attempt, Delivery, Failure, State
from router.replay.dryrun import Subject, examine, is_safe
from router.replay.explain import BY_REASON, explain
from router.sdk.manifest import ErrorRow, Idempotency, Manifest, Operation


def subject(idempotency=Idempotency.NATURAL_KEY, state=State.DEAD, **changes):
    delivery = Delivery(
        shard=1, seq=1, key=b"k" * 16, state=state, version=2, urgent=False, source="portal", event_id="e",
        event_type="dossier.accepted", subject="H39-1", offset=0, accepted_at=0,
        failure=Failure("invalid", "malformed"),
    )  # fmt: skip
    operation = Operation(name="op", events=("dossier.accepted",), idempotency=idempotency)
    values = {"operation": operation, "is_head": True, "later_out": False, "routed_to": ("tax-h39",), **changes}
    return Subject("tax-h39", delivery, **values)


def codes(found):
    return {finding.code: finding.safe for finding in found}


@pytest.mark.parametrize(
    ("changes", "code", "safe"),
    [
        ({}, "natural_key", "yes"),
        ({"idempotency": Idempotency.CHECKED}, "checked", "yes"),
        ({"idempotency": Idempotency.NONE}, "none", "note"),
        ({"idempotency": Idempotency.NONE, "state": State.UNCERTAIN}, "may_double", "no"),
        ({"is_head": False}, "not_head", "no"),
        ({"later_out": True}, "superseded", "no"),
        ({"unreadable": "cut short"}, "unreadable", "no"),
        ({"unprepared": "contract: total"}, "contract", "no"),
        ({"operation": None}, "no_operation", "no"),
        ({"state": State.DELIVERED}, "not_dead", "no"),
        ({"attempts": (Attempt(1, 0, 1, "delivered"),)}, "already_taken", "no"),
        ({"routed_to": ("land-h39",)}, "routed_elsewhere", "note"),
    ],
)
def test_each_finding(changes, code, safe):
    found = examine(subject(**changes), out_of_order=False)
    assert codes(found)[code] == safe
    assert is_safe(found) is (safe != "no")


def test_out_of_order_takes_the_place_in_the_lane_on_itself():
    found = examine(subject(is_head=False, later_out=True), out_of_order=True)
    assert codes(found)["not_head"] == codes(found)["superseded"] == "note"
    assert is_safe(found)


def test_the_gravest_comes_first():
    found = examine(subject(later_out=True, routed_to=("land-h39",)), out_of_order=False)
    assert [finding.safe for finding in found] == ["no", "note", "yes"]


def test_every_explanation_speaks_both_languages_and_names_a_step():
    for explanation in BY_REASON.values():
        for text in explanation:
            assert text.vi
            assert text.en
            assert text.vi != text.en


def test_a_partners_reason_is_explained_by_its_manifest():
    row = ErrorRow(outcome="invalid", reason="bad_total", code="07", vi="Tổng tiền sai", en="the total is wrong")
    manifest = Manifest(name="t", version="1", partner="p", role="tax", errors=(row,))
    found = explain("bad_total", "07", [manifest])
    assert found.what.said("vi") == "Tổng tiền sai"
    assert found.step == BY_REASON["malformed"].step
    assert explain("never_heard_of", "", [manifest]) == BY_REASON["unclassified"]
