"""Alerts that procedures raise, and when what they were raised for is good again. Pure."""

from __future__ import annotations

from typing import Final

from router.procedures.definition import Definition
from router.procedures.effects import Alert
from router.procedures.instance import Instance

APOLOGY_MISSING: Final = "apology_missing"
MONEY_WAITS: Final = "money_waits"
PAYMENT_SUSPENDED: Final = "payment_suspended"
TASK_OVERDUE: Final = "task_overdue"


def made_good(definition: Definition, before: Instance, after: Instance) -> list[Alert]:
    """What a step has made good: nodes and tasks that were left at last, money that found its place, a pause that
    ended, an apology that was sent or is owed no more. Alerts stand under the code that was known before the step.
    """
    code, good = before.dossier.code, list[tuple[str, str]]()
    still = {token.id for token in after.tokens if token.alerted}
    for token in before.tokens:
        timeout = definition.nodes[token.node].timeout if token.node in definition.nodes else None
        if token.alerted and token.id not in still and timeout is not None and timeout.alert:
            good.append((timeout.alert, f"{code} {token.id}".strip()))
    good += [(TASK_OVERDUE, f"{code} {task}".strip()) for task in before.due.late if task not in after.due.late]
    if any(early.alerted for early in before.early) and not any(early.alerted for early in after.early):
        good.append((MONEY_WAITS, code))
    limit = definition.pause_limits.get(before.status)
    if before.due.pause_alerted and not after.due.pause_alerted and limit is not None and limit.alert:
        good.append((limit.alert, code))
    if before.due.alerted_at and (not after.due.alerted_at or after.due.apologised != before.due.apologised):
        good.append((APOLOGY_MISSING, code))
    return [Alert(name, subject, "", raised=False) for name, subject in good] + _renamed(before, after)


def _renamed(before: Instance, after: Instance) -> list[Alert]:
    """Money's alerts that stand under the code of before (none, while the dossier was not known) go on under its new
    one.
    """
    old, new = before.dossier.code, after.dossier.code
    if old == new:
        return []
    told: list[Alert] = []
    if before.finance.undecided:
        told.append(Alert(PAYMENT_SUSPENDED, old, "", raised=False))
    if undecided := after.finance.undecided:
        told.append(Alert(PAYMENT_SUSPENDED, new, f"{sum(undecided.values())} đồng"))
    waiting = [early.id for early in after.early if early.alerted]
    if waiting:
        told += [Alert(MONEY_WAITS, old, "", raised=False), Alert(MONEY_WAITS, new, ", ".join(waiting))]
    return told
