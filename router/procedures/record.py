"""A history made for a file: its texts replaced by others that say nothing, and what comes of it played once. Pure.

Facts hold no name and no address, but codes and numbers of dossiers, notices, payments and documents lead to people.
Each is replaced by a word of its kind and a counter, the same wherever it stands, so that what belongs together still
does. Agencies, sources, times and amounts stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from router.errors import OrderRefused
from router.procedures.dues import Clockwork
from router.procedures.histories import History, played
from router.procedures.library import Library

#: Facts whose texts lead to a dossier, a document or a person; facts of one word may hold the same number.
_WORDS: Final[Mapping[str, str]] = {
    "code": "H00-000000", "component_code": "H00-000000", "reference": "R", "transaction": "T",
    "notice": "N", "number": "N", "request": "N", "replaces": "N", "authority": "N",
    "document": "D", "response_for": "D", "related": "K", "round": "S",
}  # fmt: skip
_EARLY: Final = "early:"  # how a timer of an early event begins; then its source and id


class _Names:
    """Replacements by word, each made at its first use."""

    def __init__(self) -> None:
        self._made: dict[str, dict[str, str]] = {}

    def of(self, word: str, text: str) -> str:
        made = self._made.setdefault(word, {})
        return made.setdefault(text, f"{word}-{len(made) + 1}") if text else text


def record(history: History, library: Library, clockwork: Clockwork, *, known: bool = False) -> dict[str, Any]:
    """The JSON values of a file. ``known``: it is such a file already, and only what comes of it is new.

    Raises ``OrderRefused`` if today's definition judges it otherwise than its log says: it is no record of it.
    """
    names = _Names()
    lines = [dict(line) if known else _unnamed(line, names) for line in history.lines]
    lines = [{name: value for name, value in line.items() if name != "key"} for line in lines]
    shown = replace(history, lines=lines, effects=None, after=None)
    definition = library.pinned(history.procedure, history.definition)
    now = played(shown, definition, clockwork)
    odd = [line["number"] for line in lines if now.verdicts.get(line["number"]) != line["verdict"]]
    if odd or now.instance.end_state != history.end_state:
        where = ", ".join(map(str, odd)) or "the end"
        raise OrderRefused(f"{definition.name} judges it otherwise today than its log says (lines {where})")
    for line in lines:
        line["flags"] = now.flags[line["number"]]
    return {
        "procedure": history.procedure,
        "definition": history.definition,
        "end_state": history.end_state,
        "events": lines,
        "effects": now.effects,
    }


def _unnamed(line: Mapping[str, Any], names: _Names) -> dict[str, Any]:
    facts = {name: _fact(name, value, names) for name, value in line["facts"].items()}
    return {**line, "event_id": names.of("e", str(line["event_id"])), "facts": facts}


def _fact(name: str, value: Any, names: _Names) -> Any:
    if name == "name" and isinstance(value, str) and value.startswith(_EARLY):
        source, _, event = value.removeprefix(_EARLY).rpartition("/")
        return f"{_EARLY}{source}/{names.of('e', event)}"
    if (word := _WORDS.get(name)) is None:
        return value
    if isinstance(value, list):
        return [names.of(word, str(each)) for each in value]
    return names.of(word, value) if isinstance(value, str) else value
