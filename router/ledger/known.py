"""What the ledger knows of a few codes and references, read at once for a transaction that decides about them all.

Reads are few, however many messages there are; what changes is written through at once and remembered here. The caller
holds the references (``identity.lock_references``), so nothing of this changes behind its back.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, select, tuple_

from router.ledger import identity
from router.ledger.identity import Claim, Waiting
from router.ledger.tables import alias, alias_conflict, key_link, outbox, waiting

Name = tuple[str, str]  # scheme and value


class Known:
    """Codes and references by name, as of now in this transaction.

    ``lease`` is the one under which waiting events are released: its outbox rows are older than what comes now.
    """

    def __init__(self, conn: Connection, names: Collection[Name], lease: str) -> None:
        self._conn, self._lease = conn, lease
        wanted = sorted(names)
        known = select(alias).where(tuple_(alias.c.scheme, alias.c.value).in_(wanted))
        self._rows = {(row.scheme, row.value): row for row in conn.execute(known)}
        keys = {bytes(row.key) for row in self._rows.values()}
        self._keys = {name: UUID(bytes=bytes(row.key)) for name, row in self._rows.items()}
        self._follow(keys)
        self._waited = self._names(waiting, wanted)
        self._disputed = self._names(alias_conflict, wanted)
        released = select(outbox.c.key).where(outbox.c.lease == lease, outbox.c.key.in_(self._current_keys()))
        self._released = {bytes(key) for key in conn.execute(released.distinct()).scalars()} if self._keys else set()

    def key(self, name: Name) -> UUID | None:
        """The internal id that a code or reference means now; None if it is not known."""
        return self._keys.get(name)

    def claim(self, name: Name, *, issuer: str, owner: bytes | None, now: int) -> Claim:
        """As ``identity.claim``. A code that is known costs nothing unless it brings an owner to compare."""
        row = self._rows.get(name)
        if row is not None and (owner is None or (row.owner is not None and bytes(row.owner) == owner)):
            return Claim(self._keys[name], False)
        claim = identity.claim(self._conn, *name, issuer=issuer, owner=owner, now=now)
        self._rows[name] = identity.row_of(self._conn, *name)
        if claim.conflict:
            self._disputed.add(name)
        else:
            self._keys[name] = claim.key
        return claim

    def link(self, name: Name, key: UUID, *, issuer: str, now: int) -> bool:
        """As ``identity.link``."""
        if self._keys.get(name) == key:
            return True
        linked = identity.link(self._conn, *name, key, issuer=issuer, now=now)
        if linked:
            self._keys[name] = key
            self._rows[name] = identity.row_of(self._conn, *name)
        return linked

    def is_disputed(self, name: Name, *, issuer: str) -> bool:
        """As ``identity.is_disputed``."""
        return name in self._disputed and identity.is_disputed(self._conn, *name, issuer=issuer)

    def has_older(self, name: Name, key: UUID) -> bool:
        """Whether older events of the reference wait, or are released but not published yet."""
        return name in self._waited or key.bytes in self._released

    def wait(self, event: Waiting, same: bytes, *, now: int) -> None:
        """As ``identity.wait``."""
        identity.wait(self._conn, event, same, now=now)
        self._waited.add((event.scheme, event.value))

    def _follow(self, keys: Collection[bytes]) -> None:
        """Dated links between ids: readers follow them."""
        linked = self._conn.execute(select(key_link.c.younger).where(key_link.c.younger.in_(keys))).scalars()
        younger = {bytes(key) for key in linked} if keys else set()
        for name, key in self._keys.items():
            if key.bytes in younger:
                self._keys[name] = identity.current(self._conn, key)

    def _current_keys(self) -> list[bytes]:
        return sorted({key.bytes for key in self._keys.values()})
