"""Money that has no place, as the ledger has it: of one dossier, or of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from router.ledger import instances, query
from router.procedures.decisions import waiting
from router.procedures.instance import Instance
from router.procedures.obligation import carried_of
from router.procedures.rows import instance_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

PAGE: Final = 200


class Waiting(NamedTuple):
    """A payment of which something waits. Amounts are whole đồng. ``id`` names it without its reference, which may hold
    a person's number; ``open_notices`` is what is still owed, by notice.
    """

    key: bytes
    code: str
    agency: str
    id: str
    reference: str
    notice: str
    amount: int
    suspended: int
    carried: int
    reason: str
    open_notices: Mapping[str, int]


def of_instance(key: bytes, instance: Instance) -> Iterator[Waiting]:
    """What waits of one dossier's payments, in the order in which they came."""
    finance = instance.finance
    owed = {notice.number: rest for notice in finance.notices if (rest := finance.open(notice))}
    for each in finance.payments:
        if waiting(each):
            yield Waiting(
                key, instance.dossier.code, instance.dossier.agency, id_of(key, each.reference), each.reference,
                each.notice, each.amount, each.suspended, carried_of(each), each.reason, owed,
            )  # fmt: skip


def id_of(key: bytes, reference: str) -> str:
    """Eight hexadecimal digits that name a payment of a dossier."""
    return sha256(key + reference.encode()).hexdigest()[:8]


def of_code(conn: Connection, code: str) -> list[Waiting]:
    """By any code, number, payment reference or internal id of a dossier."""
    found = instances.load(conn, query.keys_by_code(conn, code))
    return [each for key, stored in found.items() for each in of_instance(key, instance_of(stored))]


def page(conn: Connection, after: bytes) -> tuple[list[Waiting], bytes]:
    """What waits in the next page of instances with such money behind a key, and the key to go on behind; empty at the
    end.
    """
    stored = instances.page(conn, after, PAGE, money_only=True)
    found = [each for one in stored for each in of_instance(one.key, instance_of(one))]
    return found, stored[-1].key if len(stored) == PAGE else b""


def dossier_of(each: Waiting) -> str:
    """Its code, or the internal id where no code is known yet."""
    return each.code or str(UUID(bytes=each.key))
