"""What holds delivery up: told while it lasts, cleared when it is over."""

from __future__ import annotations

from router.delivery.commit import Alert
from router.delivery.troubles import BUS_UNREACHABLE, DELIVERY_WAITS, OUTBOX_WAITS, Troubles


def said(troubles: Troubles) -> list[tuple[str, bool]]:
    return [(alert.name, alert.raised) for alert in troubles.told()]


def test_each_failure_is_counted_and_the_first_success_clears() -> None:
    troubles = Troubles("p1")
    troubles.over(DELIVERY_WAITS)
    assert troubles.told() == []
    troubles.met(DELIVERY_WAITS, "no broker")
    troubles.met(DELIVERY_WAITS, "no broker")
    assert troubles.told() == [Alert(DELIVERY_WAITS, "p1", "no broker")] * 2
    troubles.over(BUS_UNREACHABLE)
    troubles.over(DELIVERY_WAITS)
    troubles.over(DELIVERY_WAITS)
    assert said(troubles) == [(DELIVERY_WAITS, False)]


def test_an_outbox_is_told_of_when_its_trouble_changes() -> None:
    troubles = Troubles("p1")
    for trouble in ("", "no broker", "no broker", "not authorised", ""):
        troubles.outbox(trouble)
    assert said(troubles) == [(OUTBOX_WAITS, True), (OUTBOX_WAITS, True), (OUTBOX_WAITS, False)]
