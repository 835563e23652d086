"""What commands print: tables for people, JSON for programs; colour only on a terminal; personal data masked."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from router.sdk.dates import VIETNAM

Row = Mapping[str, Any]


def console() -> Console:
    """Standard output; rich leaves colours out where it is no terminal."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def listing(rows: Sequence[Row], *, as_json: bool, empty: str) -> None:
    """Rows with the same keys as a table (columns that are empty everywhere are left out), or as one JSON array."""
    if as_json:
        print(json.dumps(list(rows), ensure_ascii=False, default=str))
        return
    if not rows:
        console().print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = [column for column in rows[0] if any(row[column] not in (None, "") for row in rows)]
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold", no_wrap=column == columns[0])
    for row in rows:
        table.add_row(*("" if row[column] is None else str(row[column]) for column in columns))
    console().print(table)


def document(value: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing as lines ``key: value``, or as a JSON object."""
    if as_json:
        print(json.dumps(value, ensure_ascii=False, default=str))
        return
    width = max(map(len, value), default=0)
    for key, content in value.items():
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2, default=str)
        print(f"{key.replace('_', ' '):<{width}}  {text}")


def when(micros: int | None) -> str | None:
    """A stored time as people read it: local time of Vietnam, to the second."""
    if micros is None:
        return None
    return datetime.fromtimestamp(micros / 1e6, VIETNAM).strftime("%Y-%m-%d %H:%M:%S")


def line(text: str = "") -> None:
    """A line on standard output."""
    print(text)


def error(text: str) -> None:
    """A line on standard error."""
    print(text, file=sys.stderr)
