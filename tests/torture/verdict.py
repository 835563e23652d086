"""What the partners saw against what the router received."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from tests.torture.installation import Installation
from tests.torture.load import Sent


def violations(made: Installation, sent: Sequence[Sent]) -> list[str]:
    """Every promise that was not kept, in words."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for event in sent:
        wanted[event.key].append(event.id)
    found: list[str] = []
    for name, partner in made.partners.items():
        seen: dict[str, list[str]] = defaultdict(list)
        for taken in partner.effects():
            if taken.key in wanted:
                seen[taken.key].append(taken.id)
        for key, ids in wanted.items():
            if seen[key] != ids:
                found.append(f"{name} {key}: {[ids.index(i) if i in ids else i for i in seen[key]]} of {len(ids)}")
    return found
