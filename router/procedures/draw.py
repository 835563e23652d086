"""A definition as a picture: agencies as swim lanes, in text for a terminal and in SVG for a page. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from textwrap import wrap
from typing import Final

from router.procedures import marks
from router.procedures.definition import Definition, Edge, Kind, Node

_WIDTH: Final = 210
_HEIGHT: Final = 98
_BOX: Final = (170, 60)
_HEAD: Final = 190
_LETTERS: Final = 26  # of 12 px that fit into a box, or into a lane's head
_FONT: Final = "'Noto Sans','DejaVu Sans',sans-serif"
_WORDS: Final = {
    "vi": {
        "anywhere": "từ mọi bước",
        "from_end": "sau khi kết thúc",
        "": "Điều phối, kết thúc",
        "needs": "cần",
        "at once": "ngay",
        "after": "sau",
        "alert": "cảnh báo",
        "clock": "thời gian của",
        "budget": "Thời hạn giải quyết",
        "tax": "cơ quan thuế",
        "citizen": "người dân",
        "agency": "cơ quan khác",
        "nobody": "không ai",
        "undo": "khi rút hồ sơ - hủy",
        "correct": "khi rút hồ sơ - đính chính",
        "notify": "khi rút hồ sơ - báo",
        "none": "khi rút hồ sơ - không làm gì",
    },
    "en": {
        "anywhere": "from any node",
        "from_end": "after its end",
        "": "Coordination, ends",
        "needs": "needs",
        "at once": "at once",
        "after": "after",
        "alert": "alert",
        "clock": "time of",
        "budget": "Whole time",
        "tax": "the tax office",
        "citizen": "the citizen",
        "agency": "another agency",
        "nobody": "nobody",
        "undo": "after a withdrawal - undo",
        "correct": "after a withdrawal - correct",
        "notify": "after a withdrawal - tell",
        "none": "after a withdrawal - nothing",
    },
}
_AHEAD: Final = "#456"
_BACK: Final = "#b0763a"
_COLOURS: Final = {"ahead": _AHEAD, "back": _BACK}
_MARKS: Final = {
    Kind.TASK: "□",
    Kind.WAIT: "◷",
    Kind.FAN_OUT: "⋔",
    Kind.JOIN: "⋈",
    Kind.PAUSE: "‖",
    Kind.MANUAL: "☰",
    Kind.END: "●",
}


def columns(definition: Definition) -> dict[str, int]:
    """How far each node is from the start, by the shortest way."""
    found = dict.fromkeys(definition.start, 0)
    front = list(definition.start)
    while front:
        following: list[str] = []
        for name in front:
            for target in definition.nodes[name].targets():
                if target not in found:
                    found[target] = found[name] + 1
                    following.append(target)
            for join, node in definition.nodes.items():
                if node.of == name and join not in found:
                    found[join] = found[name] + 2
                    following.append(join)
        front = following
    last = max(found.values(), default=0)
    return {name: found.get(name, last) for name in definition.nodes}


def as_text(definition: Definition, lang: str = "vi") -> str:
    """Lanes of agencies, each node with what leads away from it."""
    place = columns(definition)
    lines = [f"{definition.name}  {getattr(definition.title, lang)}"]
    if definition.budget is not None:
        lines.append(f"{_WORDS[lang]['budget']}: {definition.budget.words(lang)}")
    for role in [*definition.roles, ""]:
        mine = sorted((n for n, node in definition.nodes.items() if node.role == role), key=place.__getitem__)
        if not mine:
            continue
        lines += ["", f"── {getattr(definition.roles[role], lang) if role else '·'} " + "─" * 20]
        for name in mine:
            node = definition.nodes[name]
            days = f", {node.days.words(lang)}" if node.days is not None else ""
            lines.append(f"  {_MARKS[node.kind]} {name}: {getattr(node.title, lang)}{days}")
            lines += [f"      {words} → {to}" for words, to in _ways(node, lang)]
            lines += [f"      {words}" for words in _beside(node, lang)]
    for name, edges in (("anywhere", definition.anywhere), ("from_end", definition.from_end)):
        if edges:
            lines += ["", f"── {_WORDS[lang][name]} " + "─" * 20]
            lines += [f"      {_words(edge, lang)} → {edge.to}" for edge in edges if edge.to]
    return "\n".join(lines)


def as_svg(definition: Definition, lang: str = "vi") -> str:
    """A page's picture; every node has its title, every way its event as a tool tip; marks are explained below."""
    place, roles = columns(definition), [*definition.roles, ""]
    at: dict[str, tuple[int, int]] = {}
    heights: list[int] = []
    top = 40
    for role in roles:
        mine = [name for name, node in definition.nodes.items() if node.role == role]
        stacked: dict[int, int] = {}
        for name in sorted(mine, key=place.__getitem__):
            row = stacked.get(place[name], 0)
            stacked[place[name]] = row + 1
            at[name] = (_HEAD + place[name] * _WIDTH, top + 16 + row * _HEIGHT)
        heights.append(max([*stacked.values(), 0]) * _HEIGHT + (16 if mine else 0))
        top += heights[-1]
    anywhere = {edge.to for edge in definition.anywhere}
    width = _HEAD + (max(place.values(), default=0) + 1) * _WIDTH
    title = escape(getattr(definition.title, lang))
    explained = marks.legend(definition, top, lang)
    high = top + 10 + (marks.LEGEND if explained else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {high}" font-family="{_FONT}" '
        f'font-size="12" role="img" aria-label="{title}">',
        "<defs>" + _marker("ahead", _AHEAD) + _marker("back", _BACK) + "</defs>",
        f'<rect width="{width}" height="{high}" fill="#ffffff"/>',
        f'<text x="8" y="24" font-size="16" font-weight="bold">{title} ({definition.name})</text>',
        *_lanes(definition, roles, heights, width, lang),
        *_arrows(definition, at, lang),
        *[_box(name, node, at[name], name in anywhere, lang) for name, node in definition.nodes.items()],
        explained,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _lanes(definition: Definition, roles: Sequence[str], heights: Sequence[int], width: int, lang: str) -> list[str]:
    parts: list[str] = []
    top = 40
    for number, (role, height) in enumerate(zip(roles, heights, strict=True)):
        if height:
            shade = "#f4f7fa" if number % 2 else "#ffffff"
            name = getattr(definition.roles[role], lang) if role else _WORDS[lang][""]
            parts.append(f'<rect x="0" y="{top}" width="{width}" height="{height}" fill="{shade}" stroke="#cdd6df"/>')
            for line, words in enumerate(wrap(name, _LETTERS - 2)):
                parts.append(f'<text x="8" y="{top + 28 + 16 * line}" fill="#345">{escape(words)}</text>')
        top += height
    return parts


def _arrows(definition: Definition, at: dict[str, tuple[int, int]], lang: str) -> list[str]:
    """One arrow from a node to another, whatever the number of ways; ways back are dashed."""
    said: dict[tuple[str, str], list[str]] = {}
    for name, node in definition.nodes.items():
        for words, target in _ways(node, lang):
            if target != name:
                said.setdefault((name, target), []).append(words)
    parts: list[str] = []
    for (name, target), several in said.items():
        path, kind = _path(at[name], at[target])
        dash = ' stroke-dasharray="5 3"' if kind == "back" else ""
        line = f'<path d="{path}" fill="none" stroke="{_COLOURS[kind]}"{dash} marker-end="url(#{kind})">'
        parts.append(f"{line}<title>{escape(' | '.join(filter(None, several)))}</title></path>")
    return parts


def _path(one: tuple[int, int], other: tuple[int, int]) -> tuple[str, str]:
    """The curve from a box to another. Ahead: from side to side. In one column: round its right side. Back: from the
    edge that faces the other's row, so that it enters upright.
    """
    (x1, y1), (x2, y2) = one, other
    wide, high = _BOX
    if x2 > x1:
        (a, b), (c, d), bend = (x1 + wide, y1 + high // 2), (x2, y2 + high // 2), (x2 - x1 - wide) // 2
        return f"M{a} {b}C{a + min(bend, 60)} {b} {c - min(bend, 60)} {d} {c} {d}", "ahead"
    if x2 == x1:
        side, up = x1 + wide, 8 if y2 < y1 else -8
        return f"M{side} {y1 + high // 2}C{side + 36} {y1 + high // 2} {side + 36} {y2 + high // 2} {side} " + (
            f"{y2 + high // 2 + up}"
        ), "ahead"
    a, c = x1 + wide // 2 - 14, x2 + wide // 2 + 14
    if y2 == y1:
        return f"M{a} {y1 + high}C{a} {y1 + high + 34} {c} {y2 + high + 34} {c} {y2 + high}", "back"
    b, d, bend = (y1 + high, y2, 40) if y2 > y1 else (y1, y2 + high, -40)
    return f"M{a} {b}C{a} {b + bend} {c} {d - bend} {c} {d}", "back"


def _marker(name: str, colour: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
    )


def _box(name: str, node: Node, place: tuple[int, int], anywhere: bool, lang: str) -> str:
    x, y = place
    colour = {Kind.END: "#dfe9df", Kind.WAIT: "#fff6dd", Kind.PAUSE: "#eee6f5"}.get(node.kind, "#e3eefa")
    title, words = getattr(node.title, lang), _WORDS[lang]
    lines = wrap(title, _LETTERS)
    lines = lines if len(lines) <= 2 else [lines[0], lines[1][: _LETTERS - 1] + "…"]
    text = "".join(
        f'<text x="{x + 8}" y="{y + 18 + 15 * line}">{escape(part)}</text>' for line, part in enumerate(lines)
    )
    told = [f"{_MARKS[node.kind]} {name}"]
    told += [node.days.words(lang)] if node.days is not None else []
    told += [words["anywhere"]] if anywhere else []
    return (
        f'<g><title>{escape(title)}</title><rect x="{x}" y="{y}" width="{_BOX[0]}" height="{_BOX[1]}" rx="6" '
        f'fill="{colour}" stroke="#678"/>{text}'
        f'<text x="{x + 8}" y="{y + 51}" fill="#567" font-size="10">{escape(" · ".join(told))}</text>'
        f"{marks.drawn(node, x + _BOX[0] - 5, y + _BOX[1] - 6, lang)}</g>"
    )


def _ways(node: Node, lang: str) -> list[tuple[str, str]]:
    ways = [(_words(edge, lang), edge.to) for edge in node.edges if edge.to]
    ways += [("", branch) for branch in node.branches]
    if node.timeout is not None and node.timeout.to:
        ways.append((f"{_WORDS[lang]['after']} {node.timeout.after.words(lang)}", node.timeout.to))
    return ways


def _beside(node: Node, lang: str) -> list[str]:
    """What a node says beside its ways: whose time runs, when someone is told, what a withdrawal asks for."""
    words = _WORDS[lang]
    told = [f"{words['clock']} {words[node.clock]}"] if node.clock != "authority" else []
    if node.timeout is not None and node.timeout.alert:
        told.append(f"{words['after']} {node.timeout.after.words(lang)}: {words['alert']} {node.timeout.alert}")
    if node.compensation is not None:
        told.append(f"{words[node.compensation.kind]}: {getattr(node.compensation.text, lang)}")
    return told


def _words(edge: Edge, lang: str) -> str:
    said = [", ".join(edge.event)]
    said += [edge.when.text] if edge.when is not None else []
    said += [f"{_WORDS[lang]['needs']} {edge.needs.text}"] if edge.needs is not None else []
    return " · ".join(part for part in said if part) or _WORDS[lang]["at once"]
