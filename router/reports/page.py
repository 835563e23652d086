"""A report as a page that can be printed, with a chart that needs nothing but the page. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final, NamedTuple

from router.reports.names import TOTAL
from router.reports.period import Period
from router.reports.words import grouped

Row = Mapping[str, Any]


class Column(NamedTuple):
    """A column: the row's key, and what people read."""

    name: str
    words: str


class Bar(NamedTuple):
    """A part of each bar."""

    name: str
    words: str
    colour: str


class Layout(NamedTuple):
    """What a page shows. Columns stand under headings; ``whole`` is the key of what the bars' parts add up to."""

    title: str
    note: str
    headings: Sequence[tuple[str, Sequence[Column]]]
    bars: Sequence[Bar]
    whole: str


_ENDS: Final = (
    Column("early", "Trước hạn"),
    Column("on_time", "Đúng hạn"),
    Column("overdue", "Quá hạn"),
)
_SHARES: Final = (
    Column("early_percent", "Trước hạn"),
    Column("on_time_percent", "Đúng hạn"),
    Column("overdue_percent", "Quá hạn"),
)
_END_BARS: Final = (
    Bar("early", "Trước hạn", "#2e7d4f"),
    Bar("on_time", "Đúng hạn", "#4a90c2"),
    Bar("overdue", "Quá hạn", "#b3402e"),
)

RECEIVED: Final = Layout(
    title="Kết quả giải quyết hồ sơ tiếp nhận trong kỳ",
    note="Hồ sơ tiếp nhận trong kỳ, kết quả tính đến ngày lập báo cáo. Trước hạn, đúng hạn, quá hạn so theo ngày.",
    headings=(
        ("", (Column("received", "Tiếp nhận"),)),
        ("Đã giải quyết", (Column("solved", "Tổng số"), *_ENDS)),
        ("Tỷ lệ giải quyết, %", _SHARES),
        (
            "Đang giải quyết",
            (
                Column("pending", "Trong hạn"),
                Column("pending_overdue", "Quá hạn"),
                Column("waiting_supplement", "Chờ bổ sung"),
                Column("without_due", "Chưa có hạn"),
            ),
        ),
        ("", (Column("closed", "Kết thúc khác"),)),
        (
            "Hình thức tiếp nhận",
            (Column("online", "Trực tuyến"), Column("counter", "Trực tiếp"), Column("postal", "Bưu chính")),
        ),
        ("Mức độ dịch vụ", (Column("full", "Toàn trình"), Column("partial", "Một phần"))),
    ),
    bars=(
        *_END_BARS,
        Bar("pending", "Đang giải quyết", "#b9c6d0"),
        Bar("pending_overdue", "Đang giải quyết, quá hạn", "#e0a030"),
        Bar("waiting_supplement", "Chờ bổ sung", "#c9b8e0"),
        Bar("closed", "Kết thúc khác", "#8a8f94"),
    ),
    whole="received",
)

NATIONAL: Final = Layout(
    title="Tình hình, kết quả giải quyết thủ tục hành chính",
    note="Theo kỳ: tiếp nhận gồm kỳ trước chuyển qua và trong kỳ; đã giải quyết tính theo ngày có kết quả; đang giải "
    "quyết tính đến cuối kỳ. Hồ sơ chờ bổ sung tính riêng.",
    headings=(
        (
            "Số hồ sơ tiếp nhận",
            (
                Column("concerned", "Tổng số"),
                Column("online", "Trực tuyến"),
                Column("counter", "Trực tiếp"),
                Column("postal", "Bưu chính"),
                Column("other_channel", "Khác"),
                Column("carried_over", "Từ kỳ trước"),
            ),
        ),
        ("Số hồ sơ đã giải quyết", (Column("solved", "Tổng số"), *_ENDS)),
        ("Tỷ lệ giải quyết, %", _SHARES),
        ("", (Column("closed", "Kết thúc khác"),)),
        (
            "Số hồ sơ đang giải quyết",
            (
                Column("open", "Tổng số"),
                Column("open_in_time", "Trong hạn"),
                Column("open_overdue", "Quá hạn"),
                Column("open_supplement", "Chờ bổ sung"),
                Column("open_without_due", "Chưa có hạn"),
            ),
        ),
        ("Quá hạn", (Column("overdue_without_apology", "Chưa xin lỗi"), Column("extended", "Đã gia hạn"))),
    ),
    bars=(
        *_END_BARS,
        Bar("open_in_time", "Đang giải quyết, trong hạn", "#b9c6d0"),
        Bar("open_overdue", "Đang giải quyết, quá hạn", "#e0a030"),
        Bar("open_supplement", "Chờ bổ sung", "#c9b8e0"),
        Bar("closed", "Kết thúc khác", "#8a8f94"),
    ),
    whole="concerned",
)

_STYLE: Final = (
    "@page{size:A4 landscape;margin:12mm}body{font:13px 'Noto Sans','DejaVu Sans',sans-serif;margin:2em;color:#222}"
    "h1{font-size:20px;margin:0 0 4px}p{margin:0 0 12px;color:#555}table{border-collapse:collapse;width:100%}"
    "td,th{border:1px solid #999;padding:3px 6px;text-align:right}th{background:#eef2f5;text-align:center;"
    "font-weight:600}td:first-child,th[rowspan]{text-align:left;min-width:14em}tr{break-inside:avoid}"
    "small{display:block;color:#666;font-weight:normal;white-space:nowrap}"
    "tr.total{font-weight:bold;background:#f6f8fa}svg{width:100%;height:auto;margin:8px 0 16px}"
    "@media print{body{margin:0;font-size:10px}}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}"
)
_LINE: Final = 26
_LABEL: Final = 230
_LETTERS: Final = 38  # of a name beside its bar
_WIDTH: Final = 600
_LEGEND_COLUMNS: Final = 4


def page(period: Period, rows: Sequence[Row], layout: Layout) -> str:
    """HTML; the last row is the total."""
    title = escape(f"{layout.title}: {period.name}")
    span = f"Từ {period.first:%d/%m/%Y} đến {period.last:%d/%m/%Y}. {layout.note}"
    body = chart(rows, layout) + _table(rows, layout) if rows else "<p>Không có hồ sơ.</p>"
    return (
        f'<!doctype html><html lang="vi"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"</head><body><h1>{title}</h1><p>{escape(span)}</p>{body}</body></html>\n"
    )


def chart(rows: Sequence[Row], layout: Layout) -> str:
    """A stacked bar of shares for each group with its number, as inline SVG; pointed at, a part says its own."""
    parts = list(_legend(layout.bars))
    top = 20 * (1 + (len(layout.bars) - 1) // _LEGEND_COLUMNS) + 12
    for line, row in enumerate(rows):
        parts += _bar(row, top + line * _LINE, layout)
    height = top + len(rows) * _LINE + 4
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 920 {height}" font-size="11" '
        f"font-family=\"'Noto Sans','DejaVu Sans',sans-serif\">" + "".join(parts) + "</svg>"
    )


def _legend(bars: Sequence[Bar]) -> Iterator[str]:
    for number, bar in enumerate(bars):
        left, top = 10 + number % _LEGEND_COLUMNS * 225, 4 + number // _LEGEND_COLUMNS * 20
        yield f'<rect x="{left}" y="{top}" width="12" height="12" fill="{bar.colour}"/>'
        yield f'<text x="{left + 18}" y="{top + 10}">{escape(bar.words)}</text>'


def _bar(row: Row, y: int, layout: Layout) -> Iterator[str]:
    whole = row[layout.whole]
    yield from _label(row, y)
    x = float(_LABEL)
    for bar in layout.bars:
        width = _WIDTH * row[bar.name] / max(whole, 1)
        said = f"{bar.words}: {grouped(row[bar.name])} ({100 * row[bar.name] / max(whole, 1):.2f} %)"
        if width:
            yield (
                f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="20" fill="{bar.colour}">'
                f"<title>{escape(said)}</title></rect>"
            )
        x += width
    yield f'<text x="{_LABEL + _WIDTH + 8}" y="{y + 14}">{grouped(whole)}</text>'


def _label(row: Row, y: int) -> Iterator[str]:
    """The name beside a bar, cut where it is long, and the code below it; pointed at, it says all of it."""
    name, code = str(row["name"]), _code(row)
    short = name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1].rstrip()}…"
    yield f'<text x="10" y="{y + (9 if code else 14)}"><title>{escape(name)}</title>{escape(short)}</text>'
    if code:
        yield f'<text x="10" y="{y + 19}" font-size="8.5" fill="#666">{escape(code)}</text>'


def _table(rows: Sequence[Row], layout: Layout) -> str:
    above = "".join(
        f'<th colspan="{len(columns)}">{escape(words)}</th>' if words else f'<th colspan="{len(columns)}"></th>'
        for words, columns in layout.headings
    )
    columns = [column for _, some in layout.headings for column in some]
    below = "".join(f"<th>{escape(column.words)}</th>" for column in columns)
    lines = "".join(
        f"<tr{_marked(row)}><td>{_head(row)}</td>"
        + "".join(f"<td>{_cell(row[column.name])}</td>" for column in columns)
        + "</tr>"
        for row in rows
    )
    head = f'<tr><th rowspan="2">Nhóm</th>{above}</tr><tr>{below}</tr>'
    return f"<table><thead>{head}</thead><tbody>{lines}</tbody></table>"


def _cell(value: float | None) -> str:
    """Shares with a decimal comma, numbers grouped."""
    if value is None:
        return ""
    return f"{value:.2f}".replace(".", ",") if isinstance(value, float) else grouped(value)


def _head(row: Row) -> str:
    code = _code(row)
    return escape(row["name"]) + (f"<small>{escape(code)}</small>" if code else "")


def _code(row: Row) -> str:
    """The code, where the name is another one."""
    return "" if row["group"] in (TOTAL, row["name"]) else str(row["group"])


def _marked(row: Row) -> str:
    return ' class="total"' if row["group"] == TOTAL else ""
