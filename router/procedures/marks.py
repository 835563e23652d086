"""Small marks in the boxes of a drawn definition, and their legend: alerts, other people's clocks, compensation. Pure.

Drawn as shapes, so that they look the same whatever fonts there are; what a mark says stands in its tool tip.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Final

from router.procedures.definition import Definition, Node

SIZE: Final = 14  # px, a mark with its gap
LEGEND: Final = 34  # px, height of the legend
ALERT: Final = "alert"
COMPENSATION: Final = "compensation"
#: Whose clock runs, where it is not the authority's.
_HANDS: Final[Mapping[str, str]] = {"tax": "#8a5a00", "citizen": "#2e7d4f", "agency": "#6a4c93", "nobody": "#98a2ad"}
_TITLES: Final[Mapping[str, Mapping[str, str]]] = {
    "vi": {
        ALERT: "quá hạn thì cảnh báo",
        COMPENSATION: "hoàn lại khi rút hồ sơ",
        "tax": "thời gian của cơ quan thuế",
        "citizen": "thời gian của người dân",
        "agency": "thời gian của cơ quan khác",
        "nobody": "không tính thời gian",
    },
    "en": {
        ALERT: "someone is told when it lasts",
        COMPENSATION: "undone after a withdrawal",
        "tax": "the tax office's time",
        "citizen": "the citizen's time",
        "agency": "another agency's time",
        "nobody": "nobody's time",
    },
}


def marks_of(node: Node) -> dict[str, str]:
    """The marks a node has, with what each says beside its name (an alert's or a compensation's own words)."""
    found: dict[str, str] = {}
    if node.timeout is not None and node.timeout.alert:
        found[ALERT] = node.timeout.alert
    if node.clock in _HANDS:
        found[node.clock] = ""
    if node.compensation is not None and node.compensation.kind != "none":
        found[COMPENSATION] = node.compensation.kind
    return found


def drawn(node: Node, right: int, top: int, lang: str) -> str:
    """A node's marks, the first one ending at ``right``, further ones to its left."""
    parts: list[str] = []
    for number, (kind, _) in enumerate(marks_of(node).items()):
        parts.append(f"<g><title>{escape(_says(node, kind, lang))}</title>{_shape(kind, right, top, number)}</g>")
    return "".join(parts)


def legend(definition: Definition, top: int, lang: str) -> str:
    """One line that explains the marks this definition has; empty if it has none."""
    used = {kind for node in definition.nodes.values() for kind in marks_of(node)}
    parts: list[str] = []
    x = 22
    for kind, words in _TITLES[lang].items():
        if kind in used:
            parts.append(_shape(kind, x, top + 10, 0))
            parts.append(f'<text x="{x + 6}" y="{top + 21}" fill="#567">{escape(words)}</text>')
            x += 34 + 7 * len(words)
    return "".join(parts)


def _says(node: Node, kind: str, lang: str) -> str:
    words = _TITLES[lang][kind]
    if kind == ALERT and node.timeout is not None:
        return f"{words}: {node.timeout.after.words(lang)} ({node.timeout.alert})"
    if kind == COMPENSATION and node.compensation is not None:
        return f"{words}: {getattr(node.compensation.text, lang)}"
    return words


def _shape(kind: str, right: int, top: int, number: int) -> str:
    """A mark of 10 px; the first one ends at ``right``, each further one to its left."""
    x = right - 10 - number * SIZE
    mid, low = x + 5, top + 10
    if kind == ALERT:
        return (
            f'<path class="alert" d="M{mid} {top}L{x + 10} {low}L{x} {low}z" fill="#d9822b"/>'
            f'<path d="M{mid} {top + 4}V{top + 7}M{mid} {top + 8}V{top + 9}" stroke="#ffffff"/>'
        )
    if kind == COMPENSATION:
        return (
            f'<path class="compensation" d="M{x + 2} {top + 3}A4.5 4.5 0 1 1 {x + 1} {top + 7}" fill="none" '
            f'stroke="#a33b3b" stroke-width="1.5"/><path d="M{x - 1} {top + 4}L{x + 5} {top + 4}L{x + 2} {top}z" '
            f'fill="#a33b3b"/>'
        )
    colour = _HANDS[kind]
    return (
        f'<circle class="clock" cx="{mid}" cy="{top + 5}" r="4.5" fill="#ffffff" stroke="{colour}" stroke-width="1.5"/>'
        f'<path d="M{mid} {top + 2}V{top + 5}H{mid + 3}" fill="none" stroke="{colour}"/>'
    )
