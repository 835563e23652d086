"""What the ledger knows of a few codes and references, read at once for a transaction that decides about them all.

Reads are few, however many messages there are; what changes is written through at once and remembered here. The caller
holds the references (``identity.lock_references``), so nothing of this changes behind its back.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, Table, select, tuple_

from router.ledger import identity
from router.ledger.identity import Claim, Waiting
from router.ledger.tables import alias, alias_conflict, key_link, outbox, waiting

Name = tuple[str, str]  # scheme and value


class Known:
    """Codes and references by name, as of now in this transaction.

    ``lease`` is the one under which waiting events are released: its outbox rows are older than what comes now.
    """

    def __init__(self, conn: Connection, names: Collection[Name], lease: str) -> None:
        self._conn = conn
        wanted = sorted(names)
        known = select(alias).where(tuple_(alias.c.scheme, alias.c.value).in_(wanted))
        rows = {(row.scheme, row.value): row for row in conn.execute(known)}
        self._keys = {name: UUID(bytes=bytes(row.key)) for name, row in rows.items()}
        self._owners = {name: bytes(row.owner) for name, row in rows.items() if row.owner is not None}
        self._follow()
        self._disputed = self._named(alias_conflict, wanted)
        # In this order: a release in between moves events from the first place to the second.
        self._waited = self._named(waiting, wanted)
        self._released = self._unpublished(lease)

    def key(self, name: Name) -> UUID | None:
        """The internal id that a code or reference means now; None if it is not known."""
        return self._keys.get(name)

    def claim(self, name: Name, *, issuer: str, owner: bytes | None, now: int) -> Claim:
        """As ``identity.claim``. A code that is known costs nothing unless it brings an owner to compare."""
        if name in self._keys and (owner is None or self._owners.get(name) == owner):
            return Claim(self._keys[name], False)
        claim = identity.claim(self._conn, *name, issuer=issuer, owner=owner, now=now)
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

    def _follow(self) -> None:
        """Dated links between ids: readers follow them."""
        keys = {key.bytes for key in self._keys.values()}
        query = select(key_link.c.younger).where(key_link.c.younger.in_(keys))
        younger = {bytes(key) for key in self._conn.execute(query).scalars()} if keys else set()
        for name, key in self._keys.items():
            if key.bytes in younger:
                self._keys[name] = identity.current(self._conn, key)

    def _named(self, table: Table, names: Collection[Name]) -> set[Name]:
        query = select(table.c.scheme, table.c.value).where(tuple_(table.c.scheme, table.c.value).in_(names))
        return {(row.scheme, row.value) for row in self._conn.execute(query.distinct())}

    def _unpublished(self, lease: str) -> set[bytes]:
        keys = {key.bytes for key in self._keys.values()}
        query = select(outbox.c.key).where(outbox.c.lease == lease, outbox.c.key.in_(keys)).distinct()
        return {bytes(key) for key in self._conn.execute(query).scalars()} if keys else set()
