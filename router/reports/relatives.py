"""Whom a dossier or document belongs to and what belongs to it, each as it stands by its own instance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from router.ledger import identity, instances
from router.masking import mask
from router.procedures.dues import day_of, due_at
from router.procedures.instance import Child, Instance
from router.procedures.rows import instance_of
from router.reports.words import stated, status

if TYPE_CHECKING:
    from sqlalchemy import Connection

CODES: Final = ("dossier_code", "document_id")


class Copy(NamedTuple):
    """What is known of a forwarded copy. ``code`` is its own, masked, or its internal id; ``organ`` who forwarded;
    ``states`` what its receivers, and those of its own copies, have stated last; ``recalled`` from whom it was asked to
    recall (``*``: from all); ``ended`` empty while it runs.
    """

    code: str
    organ: str
    states: str
    recalled: str
    ended: str


class Relative(NamedTuple):
    """A parent, or a dossier opened at another level. ``status`` is what its own one-stop has said last, ``since`` (µs
    UTC) when; ``ended`` empty while it runs. Of one that has told no more than that it exists, most is empty.
    """

    code: str
    procedure: str
    agency: str
    status: str
    since: int | None
    due_date: str
    ended: str


class Relatives(NamedTuple):
    """Of one dossier or document. What a dossier has brought about are ``children``, what a document has ``copies``."""

    parent: Relative | None = None
    children: Sequence[Relative] = ()
    copies: Sequence[Copy] = ()


class _Found(NamedTuple):
    """Who stands behind a key: a code, masked, else the key itself; and its instance, if it has one."""

    code: str
    instance: Instance | None


def relatives(conn: Connection, of: Sequence[Instance], subject_of: Callable[[str], str]) -> Relatives:
    """Of instances of one dossier or document. ``subject_of`` tells what a procedure is about."""
    above = next((each.parent for each in of if each.parent), "")
    below = [(subject_of(each.procedure) == "document", child) for each in of for child in each.children]
    found = _found(conn, [*([above] if above else []), *(child.key for _, child in below)])
    return Relatives(
        _relative(found[above], Child(above)) if above else None,
        [_relative(found[child.key], child) for forwarded, child in below if not forwarded],
        list(_copies(found, [child for forwarded, child in below if forwarded])),
    )


def titled(instance: Instance) -> str:
    """``land_transfer/1 1.012783``: the definition with its version, and the procedure's code."""
    return f"{instance.procedure}/{instance.definition} {instance.dossier.procedure}".strip()


def date_of(at: int) -> str:
    """The local day of an instant as ISO text; empty for none."""
    return day_of(at).isoformat() if at else ""


def _found(conn: Connection, keys: Sequence[str]) -> Mapping[str, _Found]:
    standing = identity.currents(conn, {UUID(key) for key in keys})
    now = {key: standing[UUID(key)] for key in keys}
    stored = instances.load(conn, {key.bytes for key in now.values()}) if now else {}
    found: dict[str, _Found] = {}
    for key, current in now.items():
        code = identity.code_of(conn, UUID(key), CODES) or identity.code_of(conn, current, CODES)
        row = stored.get(current.bytes)
        found[key] = _Found(mask(code) or key, instance_of(row) if row is not None else None)
    return found


def _relative(found: _Found, child: Child) -> Relative:
    """``child`` is what was heard of it, for one that has no instance of its own here."""
    own = found.instance
    if own is None:
        return Relative(found.code, "", child.organ, "", child.said_at or None, "", child.ended)
    told = status(own.status) if own.status else ""
    due, agency = date_of(due_at(own.due.whole)), own.dossier.agency or child.organ
    return Relative(found.code, titled(own), agency, told, own.status_at or None, due, own.end_state)


def _copies(found: Mapping[str, _Found], children: Sequence[Child]) -> Iterator[Copy]:
    for child in children:
        states = ", ".join(f"{organ} {stated(state)}" for organ, state in child.states)
        yield Copy(found[child.key].code, child.organ, states, " ".join(child.told), child.ended)
