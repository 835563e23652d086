"""What commands print: tables for people, JSON for programs; colour only on a terminal; personal data masked."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from router.sdk.dates import VIETNAM

Row = Mapping[str, Any]


#: Columns that people copy: never broken in two.
WHOLE: Final = frozenset(
    {
        "id",
        "event_id",
        "code",
        "source",
        "recipient",
        "cause",
        "since",
        "until",
        "last",
        "oldest",
        "seen",
        "type",
        "state",
    }
)
BOUNDLESS: Final = 1_000_000  # columns of what is no terminal


def console() -> Console:
    """Standard output. Where it is no terminal there are no colours and no line is broken."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else BOUNDLESS)


def listing(rows: Sequence[Row], *, as_json: bool, empty: str) -> None:
    """Rows with the same keys as a table (columns that are empty everywhere are left out), or as one JSON array."""
    if as_json:
        print(json.dumps(list(rows), ensure_ascii=False, default=_json))
        return
    if not rows:
        console().print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = [column for column in rows[0] if any(row[column] not in (None, "") for row in rows)]
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold", no_wrap=column in WHOLE or column == columns[0])
    for row in rows:
        table.add_row(*(Text(cell(row[column])) for column in columns))
    out = console()
    with out.capture() as captured:
        out.print(table)
    for text in captured.get().splitlines():
        print(text.rstrip())


def document(value: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing as lines ``key: value``, or as a JSON object."""
    if as_json:
        print(json.dumps(value, ensure_ascii=False, default=_json))
        return
    width = max(map(len, value), default=0)
    for key, content in value.items():
        for number, text in enumerate(_lines(content)):
            print(f"{'' if number else key.replace('_', ' '):<{width}}  {text}")


def cell(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(VIETNAM).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _json(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _lines(value: Any) -> list[str]:
    """A value as lines: of a list each item, of what is nested its JSON."""
    if isinstance(value, list | tuple) and not any(isinstance(item, list | tuple | Mapping) for item in value):
        return [cell(item) for item in value] or ["–"]
    if isinstance(value, Mapping) and not any(isinstance(item, list | tuple | Mapping) for item in value.values()):
        return [f"{name}: {cell(item)}" for name, item in value.items()] or ["–"]
    if isinstance(value, list | tuple | Mapping):
        return json.dumps(value, ensure_ascii=False, indent=2, default=_json).splitlines() if value else ["–"]
    return cell(value).splitlines() or ["–"]


def when(micros: int | None) -> datetime | None:
    """A stored time in Vietnam's, to the second: in JSON as ISO 8601 with its offset, for people without."""
    return None if micros is None else datetime.fromtimestamp(micros // 1_000_000, VIETNAM)


def line(text: str = "") -> None:
    """A line on standard output."""
    print(text)


def error(text: str) -> None:
    """A line on standard error."""
    print(text, file=sys.stderr)
