"""A report as a page that can be printed, with a chart that needs nothing but the page. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

_BARS: Final = (
    ("early", "Trước hạn", "#2e7d4f"),
    ("on_time", "Đúng hạn", "#4a90c2"),
    ("overdue", "Trễ hạn", "#b3402e"),
    ("pending", "Đang giải quyết", "#b9c6d0"),
    ("pending_overdue", "Đang giải quyết, quá hạn", "#e0a030"),
    ("waiting_supplement", "Chờ bổ sung", "#d9d2e9"),
)
_COLUMNS: Final = (("group", "Nhóm"), ("received", "Tiếp nhận"), ("solved", "Đã giải quyết"), *(b[:2] for b in _BARS))
_STYLE: Final = (
    "body{font:14px sans-serif;margin:2em}table{border-collapse:collapse;width:100%}td,th{border:1px solid #999;"
    "padding:4px 8px;text-align:right}td:first-child,th:first-child{text-align:left}tr:last-child{font-weight:bold}"
    "@media print{body{margin:0}}"
)


def page(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """HTML; the last row is the total."""
    head = "".join(f"<th>{escape(name)}</th>" for _, name in _COLUMNS)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(row[name]))}</td>" for name, _ in _COLUMNS) + "</tr>" for row in rows
    )
    return (
        f'<!doctype html><html lang="vi"><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1>{chart(rows)}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></html>\n"
    )


def chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """A stacked bar for each group, as inline SVG; each part says its number when pointed at."""
    parts: list[str] = []
    for number, (_, name, colour) in enumerate(_BARS):
        left = 10 + number * 150
        parts.append(f'<rect x="{left}" y="4" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{left + 16}" y="15">{name}</text>')
    for line, row in enumerate(rows):
        y = 34 + line * 26
        x = 200.0
        parts.append(f'<text x="10" y="{y + 14}">{escape(str(row["group"]) or "-")}</text>')
        for name, words, colour in _BARS:
            width = 700 * row[name] / max(row["received"], 1)
            said = f"<title>{words}: {row[name]}</title>"
            parts.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="20" fill="{colour}">{said}</rect>')
            x += width
    height = 44 + len(rows) * 26
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 920 {height}" font-family="sans-serif" font-size="11">'
        + "".join(parts)
        + "</svg>"
    )
