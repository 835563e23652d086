"""The rules and the registry in force, followed while the service runs: files that changed, and the ledger's registry.

A file is read when it has changed and then stood still from one look to the next, so that no half of it is taken. One
that cannot be read, or says something wrong, is refused with an alert, and what was in force stays in force. As soon as
the ledger has a registry (``lgsp agencies import``), that one is in force and the folder is not looked at any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Generic, TypeVar

from router.errors import ConfigError, LedgerError
from router.ledger import alerts, registry
from router.ledger.registry import InForce, Stored
from router.ports import Clock, Ledger
from router.routing.agencies import Entry, Registry
from router.routing.registry_files import FILES
from router.routing.registry_records import entry_of
from router.routing.table import Routes, Rule
from router.sdk.records import reference

T = TypeVar("T")

PAGE: Final = 500
REFUSED: Final = "routes_refused"  # an alert: a changed file that is not taken

#: What tells that a file is another one: modified (ns), size, inode. None: it is not there.
_Look = tuple[int, int, int] | None


class StoredRegistry:
    """The registry as the ledger has it, kept up to date by what has changed since the last look."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.entries: dict[str, Entry] = {}  # every agency that is not removed, as of the last look
        self.versions: dict[str, int] = {}  # of the last change of every agency there ever was
        self._version = 0
        self._made: Registry | None = None

    async def look(self) -> Registry | None:
        """The registry; the same object while nothing has changed, None while the ledger has none."""
        while page := await self._ledger.read(partial(registry.changed_since, after=self._version, limit=PAGE)):
            for found in page:
                self._take(found)
            self._made = None
        if self._made is None and self._version:
            self._made = Registry.of(str(self._version), self.entries.values())
        return self._made

    def _take(self, found: Stored) -> None:
        self._version = self.versions[found.agency] = found.version
        if found.deleted:
            self.entries.pop(found.agency, None)
        else:
            self.entries[found.agency] = entry_of(reference.Agency.model_validate(found.record))


class _Watched(Generic[T]):
    """What some files say. ``load`` raises ``ConfigError``."""

    def __init__(self, paths: Sequence[Path], load: Callable[[], T]) -> None:
        self.subject = str(paths[0]) if paths else ""
        self._paths, self._load = paths, load
        self._taken = self._last = self._look()

    def changed(self) -> bool:
        """Whether they are others than those last read, and the same as at the last look."""
        now = self._look()
        still, self._last = now == self._last, now
        return still and now != self._taken

    def read(self) -> T:
        """What they say now; if it is refused, only another change is looked at again."""
        self._taken = self._last
        return self._load()

    def again(self) -> None:
        """What was read could not be taken after all: it counts as changed."""
        self._taken = ()

    def _look(self) -> tuple[_Look, ...]:
        return tuple(map(_look, self._paths))


class LiveRoutes:
    """Followed by one process. ``rules`` and ``agencies`` are its configured files; None: what ships, unchanging.
    ``load_rules`` and ``load_registry`` read them; ``told`` hears of alerts (name, subject, detail), for the log.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        process: str,
        *,
        rules: Path | None,
        agencies: Path | None,
        load_rules: Callable[[], Sequence[Rule]],
        load_registry: Callable[[], Registry],
        told: Callable[[str, str, str], None] = lambda _name, _subject, _detail: None,
    ) -> None:
        self._ledger, self._clock, self._process = ledger, clock, process
        self._rules = _Watched([rules] if rules else [], load_rules)
        self._folder = _Watched([agencies / name for name in FILES] if agencies else [], load_registry)
        self._stored = StoredRegistry(ledger)
        self._alert_told = told
        self._in_force: tuple[str, str] | None = None

    async def renewed(self, routes: Routes) -> Routes:
        """The routes as they should be now; the same object if nothing has changed. Raises ``LedgerError``."""
        if self._rules.changed():
            rules = await self._read(self._rules)
            if rules is not None:
                routes = Routes(rules, routes.registry, routes.today, routes.recipients)
        stored = await self._stored.look()
        if stored is not None:
            routes = routes.under(stored)
        elif self._folder.changed():
            routes = routes.under(await self._read(self._folder) or routes.registry)
        await self._tell(routes)
        return routes

    async def _read(self, watched: _Watched[T]) -> T | None:
        """What changed files say; None, with an alert, if that cannot be taken."""
        found: T | None = None
        try:
            found = watched.read()
            note = partial(alerts.clear_alert, name=REFUSED, subject=watched.subject, now=self._clock.now())
        except ConfigError as error:
            self._alert_told(REFUSED, watched.subject, str(error))
            note = partial(
                alerts.raise_alert, name=REFUSED, subject=watched.subject, detail=str(error), now=self._clock.now()
            )
        try:
            await self._ledger.write(note)
        except LedgerError:
            watched.again()
            raise
        return found

    async def _tell(self, routes: Routes) -> None:
        """Let operators see what this process routes by."""
        in_force = (routes.digest, routes.registry.version)
        if in_force != self._in_force:
            row = InForce(self._process, *in_force, self._clock.now())
            await self._ledger.write(lambda conn: registry.put_in_force(conn, row))
            self._in_force = in_force


def _look(path: Path) -> _Look:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
