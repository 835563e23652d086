"""Which definition a dossier or document runs by: by procedure code and day, the newest version that is valid then."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from router.procedures.definition import Definition
from router.refusals import refused

ANY: Final = "any_dossier"
DOCUMENT: Final = "official_document"


class Used(NamedTuple):
    """A version that open instances run by, and its digest when they were pinned."""

    procedure: str
    version: int
    digest: str


class Library:
    """All definitions with all their versions. Immutable. Raises ``ConfigError`` for two of one version."""

    def __init__(self, definitions: Iterable[Definition]) -> None:
        self.definitions: dict[tuple[str, int], Definition] = {}
        for each in definitions:
            if (each.procedure, each.version) in self.definitions:
                raise refused("two_versions", key=each.name)
            self.definitions[each.procedure, each.version] = each

    def pinned(self, procedure: str, version: int) -> Definition:
        """The version an instance is pinned to. Raises ``KeyError`` if this release does not have it any more."""
        return self.definitions[procedure, version]

    def require(self, used: Iterable[Used]) -> None:
        """Raises ``ConfigError`` for a version that open instances run by and that is not there or says other things
        than when they were pinned to it.
        """
        for each in used:
            name, found = f"{each.procedure}/{each.version}", self.definitions.get((each.procedure, each.version))
            if found is None:
                raise refused("version_gone", key="procedures.definitions", found=name)
            if each.digest and each.digest != found.digest:
                raise refused("version_changed", key="procedures.definitions", found=name)

    def newest(self, procedure: str, day: date) -> Definition | None:
        """The newest version of a procedure that is valid on a day."""
        fit = [each for each in self.definitions.values() if each.procedure == procedure and _valid(each, day)]
        return max(fit, key=lambda each: each.version, default=None)

    def for_dossier(self, code: str, day: date) -> Definition:
        """The definition of a procedure code; the most exact pattern wins. Without one: that of any dossier."""
        found = [
            (len(pattern), each.version, each)
            for each in self.definitions.values()
            for pattern in each.codes
            if each.subject == "dossier" and _valid(each, day) and code and fnmatchcase(code, pattern)
        ]
        if found:
            return max(found, key=lambda one: one[:2])[2]
        return self._needed(ANY, day)

    def subject_of(self, procedure: str) -> str:
        """What a procedure is about, ``dossier`` or ``document``: dossiers speak to dossiers. Unknown: documents."""
        subjects = (each.subject for (name, _), each in self.definitions.items() if name == procedure)
        return next(subjects, "document")

    def for_document(self, day: date) -> Definition:
        """The definition of documents."""
        return self._needed(DOCUMENT, day)

    def _needed(self, procedure: str, day: date) -> Definition:
        definition = self.newest(procedure, day)
        if definition is None:
            raise refused("no_definition", key="procedures.definitions", found=procedure)
        return definition


def _valid(definition: Definition, day: date) -> bool:
    return definition.valid_from is None or definition.valid_from <= day
