"""A definition as a picture: agencies as swim lanes, in text for a terminal and in SVG for a page. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from router.procedures.definition import Definition, Edge, Kind, Node

_WIDTH: Final = 210
_HEIGHT: Final = 84
_BOX: Final = (170, 46)
_HEAD: Final = 190
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
    for role in [*definition.roles, ""]:
        mine = sorted((n for n, node in definition.nodes.items() if node.role == role), key=place.__getitem__)
        if not mine:
            continue
        lines += ["", f"── {getattr(definition.roles[role], lang) if role else '·'} " + "─" * 20]
        for name in mine:
            node = definition.nodes[name]
            days = f", {float(node.days):g} ngày làm việc" if node.days is not None else ""
            lines.append(f"  {_MARKS[node.kind]} {name}: {getattr(node.title, lang)}{days}")
            lines += [f"      {words} → {to}" for words, to in _ways(node)]
    if definition.anywhere:
        lines += ["", "── * " + "─" * 20]
        lines += [f"      {_words(edge)} → {edge.to}" for edge in definition.anywhere if edge.to]
    return "\n".join(lines)


def as_svg(definition: Definition, lang: str = "vi") -> str:
    """A page's picture; every node has its title, every way its event as a tool tip."""
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
    width = _HEAD + (max(place.values(), default=0) + 1) * _WIDTH
    title = escape(getattr(definition.title, lang))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top + 10}" font-family="sans-serif" '
        f'font-size="12" role="img" aria-label="{title}">',
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#456"/></marker></defs>',
        f'<text x="8" y="24" font-size="16" font-weight="bold">{title} ({definition.name})</text>',
        *_lanes(definition, roles, heights, width, lang),
        *_arrows(definition, at),
        *[_box(name, node, at[name], lang) for name, node in definition.nodes.items()],
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _lanes(definition: Definition, roles: Sequence[str], heights: Sequence[int], width: int, lang: str) -> list[str]:
    parts: list[str] = []
    top = 40
    for number, (role, height) in enumerate(zip(roles, heights, strict=True)):
        if height:
            shade = "#f4f7fa" if number % 2 else "#ffffff"
            name = escape(getattr(definition.roles[role], lang)) if role else ""
            parts.append(f'<rect x="0" y="{top}" width="{width}" height="{height}" fill="{shade}" stroke="#cdd6df"/>')
            parts.append(f'<text x="8" y="{top + 22}" fill="#345">{name}</text>')
        top += height
    return parts


def _arrows(definition: Definition, at: dict[str, tuple[int, int]]) -> list[str]:
    parts: list[str] = []
    for name, node in definition.nodes.items():
        for words, target in _ways(node):
            if target == name:
                continue
            (x1, y1), (x2, y2) = at[name], at[target]
            ahead = x2 > x1
            start = (x1 + _BOX[0], y1 + 23) if ahead else (x1 + 85, y1 + _BOX[1])
            end = (x2, y2 + 23) if ahead else (x2 + 85, y2 + _BOX[1])
            bend = 0 if ahead else 26
            middle = (start[0] + end[0]) // 2
            path = f"M{start[0]} {start[1]}C{middle} {start[1] + bend} {middle} {end[1] + bend} {end[0]} {end[1]}"
            line = f'<path d="{path}" fill="none" stroke="#456" marker-end="url(#arrow)">'
            parts.append(f"{line}<title>{escape(words)}</title></path>")
    return parts


def _box(name: str, node: Node, place: tuple[int, int], lang: str) -> str:
    x, y = place
    colour = {Kind.END: "#dfe9df", Kind.WAIT: "#fff6dd", Kind.PAUSE: "#eee6f5"}.get(node.kind, "#e3eefa")
    title = escape(getattr(node.title, lang))
    short = title if len(title) <= 27 else title[:26] + "…"
    days = f" · {float(node.days):g} ngày" if node.days is not None else ""
    return (
        f'<g><title>{title}</title><rect x="{x}" y="{y}" width="{_BOX[0]}" height="{_BOX[1]}" rx="6" fill="{colour}" '
        f'stroke="#678"/><text x="{x + 8}" y="{y + 19}">{short}</text>'
        f'<text x="{x + 8}" y="{y + 36}" fill="#567" font-size="10">{_MARKS[node.kind]} {escape(name)}{days}</text></g>'
    )


def _ways(node: Node) -> list[tuple[str, str]]:
    ways = [(_words(edge), edge.to) for edge in node.edges if edge.to]
    ways += [("", branch) for branch in node.branches]
    if node.timeout is not None and node.timeout.to:
        ways.append((f"after {node.timeout.after}", node.timeout.to))
    return ways


def _words(edge: Edge) -> str:
    said = [", ".join(edge.event)]
    said += [edge.when.text] if edge.when is not None else []
    said += [f"needs {edge.needs.text}"] if edge.needs is not None else []
    return " · ".join(part for part in said if part) or "at once"
