"""What a report calls its groups: by the agency registry and the definitions of procedures. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeAlias

from router.ledger.dossiers import By
from router.procedures.library import ANY, Library
from router.reports.words import LEVEL
from router.routing.agencies import Registry

TOTAL: Final = "total"  # the last row's group
TOTAL_NAME: Final = "Tổng số"
UNKNOWN: Final = "(không rõ)"  # the name of what has no code

#: The Vietnamese name of a group (a code) as of a day; the code itself where it has none.
Name: TypeAlias = Callable[[By, str, date], str]


def by_code(_by: By, code: str, _day: date) -> str:
    """Of an installation without a registry: the code itself."""
    return code


@dataclass(frozen=True, slots=True)
class Names:
    """A ``Name`` by a registry and a library. Sectors are codes of the national database, which neither of them has."""

    registry: Registry
    library: Library

    def __call__(self, by: By, code: str, day: date) -> str:
        """Of an agency the name of whoever had the code on that day, not of its successor; of a procedure the title of
        the definition that was valid then, unless that is the one for all others.
        """
        match by:
            case By.AGENCY:
                holder = self.registry.holder(code, day)
                return holder.name if holder is not None else code
            case By.PROCEDURE:
                definition = self.library.for_dossier(code, day)
                return code if definition.procedure == ANY else definition.title.vi
            case By.LEVEL:
                return LEVEL.get(code, code)
            case By.SECTOR:
                return code
