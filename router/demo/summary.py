"""What the demo prints at the end: tables for people, one JSON object for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from router.assembly import build_clockwork, build_library
from router.cli import output
from router.cli.timeline import document_of, short
from router.demo.books import Books
from router.demo.cast import OVERDUE, number_of
from router.demo.check import Finding
from router.demo.operator import Operator
from router.demo.story import Story
from router.ledger import query
from router.reports.dossier import Dossiers, Shown
from router.service import Service

MOST_TOLD: Final = 20  # differences that people are shown
MOST_FILES: Final = 3

Rows = Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class Summary:
    """``timeline`` is that of the dossier that became overdue, or of the first one where there is none."""

    dossiers: int
    returned: int
    documents: int
    events: Rows
    deliveries: Rows
    dead_letters: Rows
    classes: Mapping[str, int]
    ended: Rows
    tax_files: Rows
    hop: Mapping[str, float]
    differences: Sequence[Finding]
    timeline: Shown | None
    seconds: float = field(default=0.0)

    def tell(self, *, as_json: bool) -> None:
        """Print it."""
        if as_json:
            output.document(self._document(), as_json=True)
            return
        if self.timeline is not None:
            output.line(f"The life of {self.timeline.summary['code']}, without its deliveries:\n")
            output.listing(short(self.timeline), as_json=False, empty="")
        for title, rows in (
            ("Events by type", self.events),
            ("Deliveries by recipient and outcome", self.deliveries),
            ("Dead letters", self.dead_letters),
            ("How procedures ended", self.ended),
            ("The first notice files of the tax office", self.tax_files[:MOST_FILES]),
        ):
            output.line(f"\n{title}")
            output.listing(rows, as_json=False, empty="None.")
        output.line()
        classes = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in self.classes.items() if count)
        facts = {
            "dossiers": classes,
            "returned": f"{self.returned} of {self.dossiers}",
            "documents": str(self.documents),
            "hop": ", ".join(f"{name} {value}" for name, value in self.hop.items()),
            "seconds": str(self.seconds),
        }
        output.document(facts, as_json=False)
        for finding in self.differences[:MOST_TOLD]:
            output.line("  ".join(finding))
        failed = f"FAILED: {len(self.differences)} differences"
        output.line(f"\n{failed if self.differences else 'OK: everything arrived once and in order'}")

    def _document(self) -> dict[str, Any]:
        names = (
            "dossiers", "returned", "documents", "events", "deliveries", "dead_letters", "classes", "ended",
            "tax_files", "hop", "seconds",
        )  # fmt: skip
        return {
            **{name: getattr(self, name) for name in names},
            "differences": [finding._asdict() for finding in self.differences],
            "timeline": document_of(self.timeline) if self.timeline is not None else None,
        }


async def summary_of(story: Story, operator: Operator, books: Books, differences: Sequence[Finding]) -> Summary:
    """Gather it while the service still runs."""
    service = story.service
    assert service.hop is not None
    events = await service.ledger.read(query.event_types)
    return Summary(
        dossiers=story.dossiers,
        returned=story.closed(),
        documents=story.documents,
        events=[{"type": name, "events": count} for name, count in events],
        deliveries=_deliveries(service),
        dead_letters=await operator.fates(),
        classes=books.classes,
        ended=[
            {"procedure": procedure, "end": end or "not ended", "instances": count}
            for (procedure, end), count in sorted(books.ended.items())
        ],
        tax_files=[{"dossiers": lines, "dong": f"{total:,}"} for lines, total in story.world.tax.files],
        hop={
            "events": service.hop.stats().routed,
            "unroutable": service.hop.stats().unroutable,
            "p50_s": service.hop.latency.quantile(0.5),
            "p99_s": service.hop.latency.quantile(0.99),
        },
        differences=differences,
        timeline=await _timeline(story),
    )


async def _timeline(story: Story) -> Shown | None:
    service = story.service
    shown = [code for code in story.codes if number_of(code) == OVERDUE] or story.codes[:1]
    clockwork = build_clockwork(service.settings, story.clock)
    dossiers = Dossiers(service.ledger, build_library(service.settings), clockwork, service.codec.decode)
    return await dossiers.show(shown[0]) if shown else None


def _deliveries(service: Service) -> Rows:
    assert service.delivery is not None
    tally = service.delivery.tally
    return [
        {
            "recipient": recipient,
            "outcome": outcome,
            "attempts": count,
            "p50_s": tally.latency[recipient].quantile(0.5),
            "p99_s": tally.latency[recipient].quantile(0.99),
        }
        for (recipient, outcome), count in sorted(tally.outcomes.items())
    ]
