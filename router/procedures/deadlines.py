"""Where a dossier stands against its due date. The law compares dates, not hours. Pure."""

from __future__ import annotations

from datetime import date
from enum import StrEnum


class Standing(StrEnum):
    """Every dossier with a due date is exactly one of these."""

    EARLY = "early"  # trước hạn
    ON_TIME = "on_time"  # đúng hạn
    OVERDUE = "overdue"  # trễ hạn
    PENDING = "pending"  # đang giải quyết, trong hạn
    PENDING_OVERDUE = "pending_overdue"  # đang giải quyết, quá hạn
    WAITING_SUPPLEMENT = "waiting_supplement"  # chờ bổ sung: counted apart


def standing(
    *, due: date, finished: date | None, paused_for_supplement: bool, today: date, paused: date | None = None
) -> Standing:
    """The class of a dossier on a day: finished ones by their end, others by today, or by the day since which they are
    ``paused``: their time stands still, and the due date moves when it goes on.
    """
    if finished is not None:
        if finished < due:
            return Standing.EARLY
        return Standing.ON_TIME if finished == due else Standing.OVERDUE
    if paused_for_supplement:
        return Standing.WAITING_SUPPLEMENT
    return Standing.PENDING_OVERDUE if due < min(paused or today, today) else Standing.PENDING
