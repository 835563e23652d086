"""The part of ``lgsp doctor`` that looks at our own codes in trace headers (``identity.organs``). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from router.doctor_bus import Finding
from router.routing.agencies import Active, Registry, Unknown

_CORRECT: Final = "correct identity.organs, or `lgsp agencies import` a registry that has it"


def examine_organs(organs: Sequence[str], known: Registry, today: date) -> list[Finding]:
    """Whether there are any, and each is registered; the first, which documents go out under, is to be at work today.
    One of the wrong form is refused with the settings, before anything is examined.
    """
    if not organs:
        what = "identity.organs is not set: a document that goes in a circle is not recognised"
        return [Finding("organs", "mind", what, 'name our codes, e.g. organs = ["H39.30", "000.30.00.H39"]')]
    found = [*_unregistered(organs, known, today), *_ended(organs[0], known, today)]
    return found or [Finding("organs", "ok", f"documents go out under {organs[0]}", "")]


def _unregistered(organs: Sequence[str], known: Registry, today: date) -> Iterator[Finding]:
    for organ in organs:
        if isinstance(known.resolve(organ, today), Unknown):
            yield Finding("organs", "mind", f"{organ} is not in the agency registry", _CORRECT)


def _ended(organ: str, known: Registry, today: date) -> Iterator[Finding]:
    found = known.resolve(organ, today)
    if isinstance(found, Unknown) or (isinstance(found, Active) and not found.via):
        return
    what = f"documents go out under {organ}, an agency that has ended"
    yield Finding("organs", "mind", what, f"put the successor's code before it; `lgsp agencies resolve {organ}`")
