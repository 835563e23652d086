"""Which timers an instance wants: they follow from its state. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from router.procedures import dues, money
from router.procedures.definition import Definition
from router.procedures.dues import Clockwork
from router.procedures.instance import Instance


def timers(instance: Instance, definition: Definition, clockwork: Clockwork) -> dict[str, int]:
    """Every timer the instance wants, by name, with its due time in business time (µs UTC).

    ``node:<token>`` ends a node's patience, ``early:<source>/<id>`` that with an early event, ``task:<token>`` finds a
    task late, ``pause`` a status that lasts too long, ``overdue`` the dossier, ``apology`` a missing apology.
    """
    wanted: dict[str, int] = {}
    agency = instance.dossier.agency
    here = clockwork.at(agency)
    for token in instance.tokens:
        node = definition.nodes[token.node]
        if node.timeout is not None and not token.alerted:
            wanted[f"node:{token.id}"] = clockwork.at(agency, node.role).after(token.since, node.timeout.after)
    for early in instance.early:
        wanted[f"early:{early.id}"] = here.after(early.taken_at, money.patience(early, definition))
    if definition.subject == "dossier":
        wanted |= {f"task:{task}": at for task, at in dues.task_timers(instance).items()}
        limit = definition.pause_limits.get(instance.status)
        if limit is not None and instance.due.paused_since and not instance.due.pause_alerted:
            wanted["pause"] = here.after(instance.due.paused_since, limit.after)
        if at := dues.overdue_timer(instance):
            wanted["overdue"] = at
        if at := dues.apology_timer(instance, clockwork):
            wanted["apology"] = at
    return wanted


def standing(
    before: Instance, definition: Definition, clockwork: Clockwork, stored: Mapping[str, int], now: int
) -> dict[str, int]:
    """The timers that stand for an instance: the rows, and those whose row has become an event that is still to come,
    which need no second one. ``now`` is business time (µs UTC).
    """
    wanted = timers(before, definition, clockwork)
    return {**{name: due for name, due in wanted.items() if due <= now}, **stored}
