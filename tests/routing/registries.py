"""Registries as hypothesis makes them: any agencies, codes and ends that come to an end."""

from __future__ import annotations

from datetime import date

from hypothesis import strategies as st

from router.routing.agencies import Agency, Code, Entry, Relation, Succession

DAYS = st.dates(date(2020, 1, 1), date(2030, 12, 31))
NAMES = st.text(st.sampled_from("ăâđêôơưÀấộỹ abcXYZ,\"'-;"), min_size=1).map(str.strip).filter(bool)
IDS = [f"co-quan-{n}" for n in range(6)]
ROLES = st.sampled_from(["one_stop", "tax", "land_registry"])


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Entry]:
    """A registry's entries by id; parents and successors come later in the list, so that nothing goes in a circle."""
    ids = draw(st.lists(st.sampled_from(IDS), unique=True, max_size=len(IDS)))
    return {own: draw(entry(own, ids[place + 1 :])) for place, own in enumerate(ids)}


@st.composite
def entry(draw: st.DrawFn, own: str, others: list[str]) -> Entry:
    """One entry that names some of ``others``."""
    start, end, grace = sorted(draw(st.lists(DAYS, min_size=3, max_size=3, unique=True)))
    ended = draw(st.booleans())
    agency = Agency(
        own,
        draw(NAMES),
        draw(st.sampled_from(["province", "district", "commune", "office"])),
        draw(st.sampled_from(["", *others])),
        draw(st.sampled_from([date.min, start])),
        end if ended else date.max,
        draw(st.dictionaries(ROLES, st.sampled_from(["a", "b-h39"]), max_size=2)),
        draw(st.sampled_from([None, grace])) if ended else None,
    )
    codes = tuple(Code(f"{own}.{n}", own, date.min, draw(st.sampled_from([date.max, end]))) for n in range(2))
    ends = [Succession(own, Relation.SPLIT_INTO, other, end, f"commune={n}") for n, other in enumerate(others[:2])]
    dissolved = [Succession(own, Relation.DISSOLVED, "", end)]
    return Entry(agency, draw(st.sampled_from([(), codes])), tuple(draw(st.sampled_from([[], ends, dissolved]))))
