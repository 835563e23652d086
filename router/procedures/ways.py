"""Where the ways of a definition lead: into circles, out of a fork without its join, or nowhere. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from router.procedures.definition import Definition, Finding, Kind, Node
from router.procedures.expression import Expression
from router.procedures.vocabulary import event_types, facts_told

#: Statuses that end a dossier, and the state of the end that the engine goes to when one comes where no edge takes it.
ENDINGS: Final[Mapping[int, str]] = {3: "refused", 7: "withdrawn", 10: "returned"}


def astray(definition: Definition) -> Iterator[Finding]:
    """Faults of a definition whose names all exist."""
    yield from _circles(definition)
    yield from _forks_left(definition)
    yield from _reach(definition)
    if definition.subject == "dossier":
        yield from _endings(definition)


def _circles(definition: Definition) -> Iterator[Finding]:
    """Nothing goes on by itself for ever: a circle has an event, or time, in it."""
    onward = {name: _by_itself(definition, name, node) for name, node in definition.nodes.items()}
    for name, following in onward.items():
        if name in _reached(following, onward, frozenset()):
            yield Finding(("nodes", name), "goes round in circles without an event: one of its ways needs an `event`")


def _by_itself(definition: Definition, name: str, node: Node) -> set[str]:
    """Where a node leads without an event: a fork to its branches, and to its join if there are none."""
    joins = {other for other, each in definition.nodes.items() if each.kind is Kind.JOIN and each.of == name}
    return {*node.branches, *joins, *(edge.to for edge in node.edges if edge.to and not edge.event)}


def _forks_left(definition: Definition) -> Iterator[Finding]:
    """A branch ends at its join or at an end: outside it would be a second life, and its join would wait for ever."""
    onward = {name: set(node.targets()) for name, node in definition.nodes.items()}
    ends = {name for name, node in definition.nodes.items() if node.kind is Kind.END}
    for join, node in definition.nodes.items():
        if node.kind is not Kind.JOIN:
            continue
        fork = node.of
        branches = definition.nodes[fork].branches
        inside = _reached(branches, onward, frozenset({join, *ends}))
        past = {**onward, fork: {join}}
        outside = _reached(entries(definition), past, frozenset()) - ends - {join}
        for name in sorted((inside - ends - {join}) & outside):
            both = f"is reached from inside and outside of `{fork}`"
            yield Finding(("nodes", name), f"{both}: a branch leads to `{join}` or to an end, alone")
        for name in sorted(outside - inside - {fork}):
            if join in onward[name]:
                yield Finding(("nodes", name), f"leads to `{join}` without coming from `{fork}`")


def entries(definition: Definition) -> set[str]:
    """Nodes at which an instance begins, or goes on with everything else left behind."""
    edges = (*definition.anywhere, *definition.from_end)
    limits = (limit.to for limit in definition.pause_limits.values() if limit.to)
    return {*definition.start, *definition.corrections.values(), *limits, *(edge.to for edge in edges if edge.to)}


def _reach(definition: Definition) -> Iterator[Finding]:
    """Every node can be reached, and an end can be reached from every node."""
    onward = {name: set(node.targets()) for name, node in definition.nodes.items()}
    for join, node in definition.nodes.items():
        if node.kind is Kind.JOIN:
            onward[node.of].add(join)  # without a single branch
    begun = entries(definition) | {name for name, node in definition.nodes.items() if _closes(definition, node)}
    for name in definition.nodes.keys() - _reached(begun, onward, frozenset()):
        yield Finding(("nodes", name), "no way leads here")
    ends = {name for name, node in definition.nodes.items() if node.kind is Kind.END}
    for name, node in definition.nodes.items():
        if node.kind is not Kind.END and not _reached(onward[name], onward, frozenset()) & ends:
            yield Finding(("nodes", name), "no way leads from here to an end")


def _closes(definition: Definition, node: Node) -> bool:
    """Whether the engine goes to this end by itself."""
    return definition.subject == "dossier" and node.state in ENDINGS.values()


def _endings(definition: Definition) -> Iterator[Finding]:
    """A dossier can be refused, withdrawn and returned: else it would run on after its end."""
    ends = {name: node for name, node in definition.nodes.items() if node.kind is Kind.END}
    states = {node.state for node in ends.values()}
    for status, state in ENDINGS.items():
        by_edge = any(
            edge.to in ends and set(edge.event) and _may_say(edge.event, edge.when, status)
            for _, edge in definition.edges()
        )
        if state not in states and not (status == 10 and by_edge):
            yield Finding(("nodes",), f"has no way for status {status}: give it an end with `state: {state}`")


def _may_say(events: Iterable[str], when: Expression | None, status: int) -> bool:
    types = (each for pattern in events for each in event_types(pattern))
    return any("status" in facts_told(each) for each in types) and (
        when is None or when.holds({"event": {"status": status}})
    )


def _reached(start: Iterable[str], onward: Mapping[str, set[str]], stops: frozenset[str]) -> set[str]:
    """These nodes and all that can be reached from them; no way goes on from ``stops``."""
    found, front = set(start), set(start)
    while front:
        front = {target for name in front - stops for target in onward[name]} - found
        found |= front
    return found
