"""A dossier's timeline as the command line prints it."""

from __future__ import annotations

from typing import Any, Final

from router.cli import output
from router.reports.dossier import Shown
from router.reports.relatives import Relative
from router.reports.timeline import Line

A_MINUTE: Final = 60_000_000  # µs
#: Lines that tell how something travelled, not what happened to the dossier.
TRAVEL: Final = frozenset({"delivery", "attempt", "receipt"})


def tell(shown: Shown, *, as_json: bool) -> None:
    """Print where the dossier stands, what it waits for, and all lines."""
    told = document_of(shown)
    if as_json:
        output.document(told, as_json=True)
        return
    output.document({name: value for name, value in shown.summary.items() if value}, as_json=False)
    output.line("\nwaits for")
    output.listing(told["waits"], as_json=False, empty="Nothing.")
    parent = [told["parent"]] if told["parent"] else []
    for title, rows in (("parent", parent), ("children", told["children"]), ("copies", told["copies"])):
        if rows:
            output.line(f"\n{title}")
            output.listing(rows, as_json=False, empty="")
    output.line("\ntimeline")
    output.listing(told["timeline"], as_json=False, empty="Nothing happened yet.")


def document_of(shown: Shown) -> dict[str, Any]:
    """All of it with times as people read them."""
    waits = [{**w._asdict(), "since": output.when(w.since), "due": output.when(w.due)} for w in shown.waits]
    kin = shown.relatives
    return {
        **shown.summary,
        "waits": waits,
        "parent": _relative(kin.parent) if kin.parent else None,
        "children": [_relative(each) for each in kin.children],
        "copies": [each._asdict() for each in kin.copies],
        "timeline": [_line(each) for each in shown.timeline],
    }


def short(shown: Shown) -> list[dict[str, Any]]:
    """The lines without those that tell how something travelled, in business time; where a line has none, that of the
    line before.
    """
    told: list[dict[str, Any]] = []
    business: int | None = None
    for each in shown.timeline:
        business = each.business or business
        if each.what not in TRAVEL:
            told.append({"at": output.when(business), "what": each.what, "name": each.name, "says": each.says})
    return told


def _relative(relative: Relative) -> dict[str, Any]:
    return {**relative._asdict(), "since": output.when(relative.since)}


def _line(line: Line) -> dict[str, Any]:
    """Business time only where it is another minute than the machine's."""
    apart = line.business is not None and abs(line.business - line.at) >= A_MINUTE
    return {**line._asdict(), "at": output.when(line.at), "business": output.when(line.business) if apart else None}
