"""All that the demo checks when its story is over: partners' books, their end states, and the ledger."""

from __future__ import annotations

from router.demo.books import Books
from router.demo.cast import RECALCULATED, REORGANISED, number_of
from router.demo.check import Finding, compare, states
from router.demo.operator import Operator
from router.demo.story import Story

RETURNED, STOPPED = "10", "8"


def findings(story: Story, operator: Operator, books: Books) -> list[Finding]:
    """What differs, empty if nothing does."""
    world, partners = story.world, story.world.partners()
    sent = {recipient: simulator.sent for recipient, simulator in partners.items()}
    effects = {recipient: simulator.effects for recipient, simulator in partners.items()}
    found = compare(sent, effects, world.target)
    replaced = world.one_stop.replaced
    ends = dict.fromkeys((*story.codes, *replaced.values()), RETURNED) | dict.fromkeys(replaced, STOPPED)
    moved = {code for code in story.codes if number_of(code) == REORGANISED}
    for name, simulator in (("one-stop-h39", world.one_stop), ("one-stop-h53", world.neighbour)):
        mine = {code: end for code, end in ends.items() if (code in moved) == (name == "one-stop-h53")}
        found += states(mine, simulator.status, name)
        found += [Finding("state", name, "", text) for text in simulator.illegal]
    found += states(ends, {code: str(d.get("TrangThaiHoSo")) for code, d in world.portal.dossiers.items()}, "portal")
    land = {code: file.state for code, file in world.land.files.items()}
    found += states(dict.fromkeys(ends, "closed"), land, "land-h39")
    found += [
        Finding("state", recipient, code, "a message was never received")
        for recipient, simulator in partners.items()
        for code in simulator.given_up
    ]
    found += [Finding("extra", "dead letter", "", each.name) for each in operator.unexpected()]
    return [*found, *_refunds(story), *books.findings]


def _refunds(story: Story) -> list[Finding]:
    """What was paid for the notice that was recalculated is asked back, once; nothing else is."""
    codes = [code for code in story.codes if number_of(code) == RECALCULATED]
    asked = [code for kind, code in story.world.one_stop.reminders.values() if kind == "payment.refund_requested"]
    wrong = asked != codes
    return [Finding("state", "one-stop-h39", ", ".join(codes), f"{len(asked)} refunds asked")] if wrong else []
