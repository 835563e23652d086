"""Registries as hypothesis makes them: any agencies, codes and ends that come to an end."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from hypothesis import strategies as st

from router.routing.agencies import UNSAID, Agency, Code, Directory, Entry, Relation, Succession

IDS = [f"co-quan-{n}" for n in range(5)]
NAMES = ["UBND xã Đức Hòa", 'Sở "Nông nghiệp", Môi trường', "Chi cục Thuế khu vực; Tân An", "Ấp ộ ữ"]
SERVES: list[dict[str, str]] = [{}, {"one_stop": "one-stop-h39"}, {"one_stop": "a", "tax": "tax-h53"}]
SAID = [UNSAID, Directory(7, datetime(2025, 7, 1, 1, 30, 0, 5, tzinfo=UTC), False, "000.00.00.H39")]
START, END, GRACE = date(2020, 2, 29), date(2025, 7, 1), date(2025, 8, 1)


def entries() -> st.SearchStrategy[dict[str, Entry]]:
    """A registry's entries by id; parents and successors come later in the list, so that nothing goes in a circle."""
    some = st.lists(st.sampled_from(IDS), unique=True, max_size=len(IDS))
    return some.flatmap(lambda ids: st.fixed_dictionaries({own: entry(own, ids[n + 1 :]) for n, own in enumerate(ids)}))


def entry(own: str, others: list[str]) -> st.SearchStrategy[Entry]:
    """One entry that may name some of ``others``."""
    parts = enumerate(others[:2])
    split = tuple(Succession(own, Relation.SPLIT_INTO, other, END, f"commune={n}") for n, other in parts)
    ends = [(), split, (Succession(own, Relation.DISSOLVED, "", END),)]
    codes = [(), (Code(f"{own}.1", own), Code("000.00.16." + own, own, START, END))]

    def made(name: str, parent: str, start: date, serves: dict[str, str], grace: date | None, *rest: Any) -> Entry:
        code, succession, said, ended = rest
        end, grace = (END, grace) if ended else (date.max, None)
        agency = Agency(own, name, "commune", parent, start, end, serves, grace, said)
        return Entry(agency, code, succession)

    one = st.sampled_from
    return st.builds(
        made, one(NAMES), one(["", *others]), one([date.min, START]), one(SERVES), one([None, GRACE]),
        one(codes), one(ends), one(SAID), st.booleans(),
    )  # fmt: skip
