"""What the ledger must say when the story is over: every instance ended, classes that add up, nothing odd."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from router.assembly import build_clockwork
from router.demo.cast import OVERDUE, REORGANISED, WRONG_PROCEDURE, number_of
from router.demo.check import Finding
from router.demo.operator import Operator
from router.demo.story import Story
from router.demo.world import LAND_OFFICE
from router.events import CE_ADDRESSED_TO, CE_DELIVERED_TO, CE_REGISTRY_VERSION, text_header
from router.ledger import instances
from router.ledger.dossiers import By
from router.procedures.dues import day_of, due_at
from router.procedures.instance import Instance
from router.procedures.rows import instance_of
from router.procedures.signals import COMPENSATION
from router.reports.period import Period
from router.reports.service import Reports
from router.service import Service

PAGE: Final = 500
CLASSES: Final = (
    "early", "on_time", "overdue", "pending", "pending_overdue", "waiting_supplement", "without_due", "closed",
)  # fmt: skip


@dataclass(slots=True)
class Books:
    """``ended``: how instances ended, by procedure and end; ``overdue``: codes of those that ended overdue;
    ``classes``: the counts of the report; ``findings``: what differs from what the story makes.
    """

    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    overdue: list[str] = field(default_factory=list)
    classes: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def differs(self, code: str, what: str) -> None:
        """Note something that is not as it must be."""
        self.findings.append(Finding("state", "procedures", code, what))

    def look(self, instance: Instance) -> None:
        """Note an instance, and what is not as it must be at the end."""
        code, known = instance.dossier.code or instance.key, instance.dossier
        self.ended[instance.procedure, instance.end_state] += 1
        if not instance.end_state:
            self.differs(code, f"not ended: {', '.join(token.id for token in instance.tokens)}")
        if known.integrity_warning:
            self.differs(code, "integrity_warning though no end was set back")
        if instance.early:
            self.differs(code, f"{len(instance.early)} events still early")
        due = due_at(instance.due.whole)
        if due and known.finished_at and day_of(known.finished_at) > day_of(due):
            self.overdue.append(code)


async def books_of(story: Story, operator: Operator) -> Books:
    """Read all instances, the report, and how the reorganised dossier was routed."""
    books = Books()
    await _instances(story.service, books)
    wanted = [code for code in story.codes if number_of(code) == OVERDUE]
    if books.overdue != wanted:
        books.differs(", ".join(books.overdue), f"overdue instead of {', '.join(wanted) or 'none'}")
    await _report(story, books)
    for alert in await operator.operations.alerts():
        if alert.name == "apology_missing":
            books.differs(alert.subject, "no apology was sent")
    for code in story.codes:
        if number_of(code) == REORGANISED:
            await _reorganised(code, operator, books)
    for code in story.world.one_stop.replaced:
        await _undone(code, operator, books)
    return books


async def _instances(service: Service, books: Books) -> None:
    after = b""
    while page := await service.ledger.read(partial(instances.page, after=after, limit=PAGE)):
        for stored in page:
            books.look(instance_of(stored))
        after = page[-1].key


async def _report(story: Story, books: Books) -> None:
    """The classes of the report are disjoint, add up, and are those that the story makes."""
    service = story.service
    reports = Reports(service.ledger, story.clock, build_clockwork(service.settings, story.clock))
    row: dict[str, Any] = (await reports.statistics(Period.read("2025"), By.PROCEDURE))[-1]
    books.classes = {name: row[name] for name in ("received", *CLASSES)}
    replaced = 1 if story.dossiers >= WRONG_PROCEDURE else 0
    overdue, on_time = int(story.dossiers >= OVERDUE), int(story.dossiers >= REORGANISED)
    wanted = {
        "received": story.dossiers + replaced,
        "early": story.dossiers - overdue - on_time,
        "on_time": on_time,
        "overdue": overdue,
    }
    for name, number in wanted.items():
        if row[name] != number:
            books.differs("", f"report: {row[name]} {name} instead of {number}")
    if row["received"] != sum(row[name] for name in CLASSES):
        books.differs("", "report: the classes do not add up to what was received")


async def _undone(code: str, operator: Operator, books: Books) -> None:
    """What was done for a dossier of the wrong procedure is to be undone by the land office: it is addressed to it."""
    got = await operator.operations.lane("one-stop-h39", code, PAGE)
    asked = [named.name for named in got if named.delivery.event_type == COMPENSATION]
    for name in asked:
        headers = (await operator.operations.show(name)).editions[-1][1].headers
        if (addressed := text_header(headers, CE_ADDRESSED_TO)) != LAND_OFFICE:
            books.differs(code, f"{name}: asked of {addressed} instead of {LAND_OFFICE}")
    if not asked:
        books.differs(code, "nobody was asked to undo what was done")


async def _reorganised(code: str, operator: Operator, books: Books) -> None:
    """What the successor got was addressed to the old agency, and says to whom it went and by which registry."""
    got = await operator.operations.lane("one-stop-h53", code, PAGE)
    if not got:
        books.differs(code, "nothing went to the successor")
    for named in got:
        headers = (await operator.operations.show(named.name)).editions[-1][1].headers
        addressed, delivered = text_header(headers, CE_ADDRESSED_TO), text_header(headers, CE_DELIVERED_TO)
        recorded = text_header(headers, CE_REGISTRY_VERSION)
        if not addressed.startswith("H39") or not delivered.startswith("H53") or not recorded:
            books.differs(
                code, f"{named.name}: addressed to {addressed}, delivered to {delivered} by {recorded or '?'}"
            )
