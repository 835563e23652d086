"""What holds delivery up: told while it lasts, cleared when it is over, also by the next process."""

from __future__ import annotations

from router.delivery.commit import Alert
from router.delivery.troubles import BUS_UNREACHABLE, DELIVERY_WAITS, OUTBOX_WAITS, Troubles
from router.ledger import alerts


def said(troubles: Troubles) -> list[tuple[str, bool]]:
    return [(alert.name, alert.raised) for alert in troubles.told()]


def open_alert(name: str, subject: str) -> alerts.Alert:
    return alerts.Alert(name, subject, "", 1, 1, 1)


def test_each_failure_is_counted_and_the_first_success_clears() -> None:
    troubles = Troubles()
    troubles.over(DELIVERY_WAITS)
    assert troubles.told() == []
    troubles.met(DELIVERY_WAITS, "no broker")
    troubles.met(DELIVERY_WAITS, "no broker")
    assert troubles.told() == [Alert(DELIVERY_WAITS, "delivery", "no broker")] * 2
    troubles.over(BUS_UNREACHABLE)
    troubles.over(DELIVERY_WAITS)
    troubles.over(DELIVERY_WAITS)
    assert said(troubles) == [(DELIVERY_WAITS, False)]


def test_what_a_former_process_left_open_is_cleared_by_the_next_one_that_succeeds() -> None:
    troubles = Troubles()
    standing = [open_alert(BUS_UNREACHABLE, "delivery"), open_alert("recipient_down", "tax-h39")]
    troubles.begin([*standing, open_alert(OUTBOX_WAITS, "outbox"), open_alert(DELIVERY_WAITS, "elsewhere")])
    troubles.over(DELIVERY_WAITS)
    assert troubles.told() == []
    troubles.over(BUS_UNREACHABLE)
    troubles.outbox("")
    assert said(troubles) == [(BUS_UNREACHABLE, False), (OUTBOX_WAITS, False)]


def test_an_outbox_is_told_of_when_its_trouble_changes() -> None:
    troubles = Troubles()
    for trouble in ("", "no broker", "no broker", "not authorised", ""):
        troubles.outbox(trouble)
    assert said(troubles) == [(OUTBOX_WAITS, True), (OUTBOX_WAITS, True), (OUTBOX_WAITS, False)]
