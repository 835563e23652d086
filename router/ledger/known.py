"""What the ledger knows of a few codes and references, read at once for a transaction that decides about them all.

Reads are few, however many messages there are; what changes is written through at once and remembered here. The caller
holds the references (``identity.lock_references``), so nothing of this changes behind its back.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Select, Table, bindparam, select, tuple_

from router.ledger import identity
from router.ledger.identity import Claim, Waiting
from router.ledger.lists import among_given
from router.ledger.tables import alias, alias_conflict, outbox, waiting

Name = tuple[str, str]  # scheme and value

_KNOWN: Final = select(alias).where(tuple_(alias.c.scheme, alias.c.value).in_(bindparam("names", expanding=True)))


class Known:
    """Codes and references by name, as of now in this transaction.

    ``lease`` is the one under which waiting events are released: its outbox rows are older than what comes now.
    """

    def __init__(self, conn: Connection, names: Collection[Name], lease: str) -> None:
        self._conn = conn
        wanted = sorted(names)
        rows = {(row.scheme, row.value): row for row in conn.execute(_KNOWN, {"names": wanted})}
        keys = {name: UUID(bytes=bytes(row.key)) for name, row in rows.items()}
        standing = identity.currents(conn, set(keys.values()))  # dated links between ids: readers follow them
        self._keys = {name: standing[key] for name, key in keys.items()}
        self._owners = {name: bytes(row.owner) for name, row in rows.items() if row.owner is not None}
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

    def _named(self, table: Table, names: Collection[Name]) -> set[Name]:
        return {(row.scheme, row.value) for row in self._conn.execute(_named(table), {"names": names})}

    def _unpublished(self, lease: str) -> set[bytes]:
        keys = [key.bytes for key in self._keys.values()]
        if not keys:
            return set()
        found = self._conn.execute(_unpublished(self._conn.dialect.name), {"under": lease, "keys": keys})
        return {bytes(key) for key in found.scalars()}


# Built once: a transaction would pay more for building them than for asking.


@lru_cache
def _named(table: Table) -> Select[Any]:
    named = tuple_(table.c.scheme, table.c.value).in_(bindparam("names", expanding=True))
    return select(table.c.scheme, table.c.value).where(named).distinct()


@lru_cache
def _unpublished(dialect: str) -> Select[Any]:
    of_keys = among_given(dialect, outbox.c.key, "keys")
    return select(outbox.c.key).where(outbox.c.lease == bindparam("under"), of_keys).distinct()
