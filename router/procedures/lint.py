"""What is wrong or odd about a definition: faults that refuse it, and remarks that do not. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from router.procedures.definition import Definition, Edge, Kind, Node
from router.procedures.facts import KNOWN
from schemas.catalogue import EVENT_TYPES

_FINANCE: Final = frozenset({"complete", "generation", "notices", "due", "paid", "suspended"})
_CHILDREN: Final = frozenset({"total", "open", "recalled", "kept"})
_DOSSIER: Final = frozenset({"status", "code", "accepted"})


class Finding(NamedTuple):
    """Something to say about a part of a definition. ``fault``: it cannot be used like this."""

    place: tuple[str, ...]
    text: str
    fault: bool = True


def problems(definition: Definition) -> list[Finding]:
    """All findings, faults first."""
    found = [
        *_targets(definition),
        *_events(definition),
        *_guards(definition),
        *_kinds(definition),
        *_forks(definition),
    ]
    if not any(finding.fault for finding in found):
        found += [*_ways(definition), *_patience(definition)]
    return sorted(found, key=lambda finding: not finding.fault)


def _placed(definition: Definition) -> Iterator[tuple[tuple[str, ...], Edge]]:
    for name, node in definition.nodes.items():
        for number, edge in enumerate(node.edges):
            yield ("nodes", name, "edges", str(number)), edge
    for field, edges in (("anywhere", definition.anywhere), ("from_end", definition.from_end)):
        for number, edge in enumerate(edges):
            yield (field, str(number)), edge


def _targets(definition: Definition) -> Iterator[Finding]:
    """Whatever is named exists."""
    known = definition.nodes
    for place, edge in _placed(definition):
        if edge.to and edge.to not in known:
            yield Finding((*place, "to"), f"there is no node `{edge.to}`")
    for name, node in known.items():
        if node.role and node.role not in definition.roles:
            yield Finding(("nodes", name, "role"), f"there is no role `{node.role}`")
        if node.timeout is not None and node.timeout.to and node.timeout.to not in known:
            yield Finding(("nodes", name, "timeout", "to"), f"there is no node `{node.timeout.to}`")
        for branch in node.branches:
            if branch not in known:
                yield Finding(("nodes", name, "branches"), f"there is no node `{branch}`")
    for name in definition.start:
        if name not in known:
            yield Finding(("start",), f"there is no node `{name}`")
    for status, name in definition.corrections.items():
        if name not in known:
            yield Finding(("corrections", str(status)), f"there is no node `{name}`")


def _events(definition: Definition) -> Iterator[Finding]:
    """Event types are those of the catalogue; a star stands for the rest of a name."""
    for place, edge in _placed(definition):
        for event in edge.event:
            if not _is_event(event):
                yield Finding((*place, "event"), f"there is no event type `{event}`")
    for event in definition.noted:
        if not _is_event(event):
            yield Finding(("noted",), f"there is no event type `{event}`")


def _is_event(name: str) -> bool:
    if name.endswith("*"):
        return any(event.startswith(name[:-1]) for event in EVENT_TYPES)
    return name in EVENT_TYPES


def _guards(definition: Definition) -> Iterator[Finding]:
    """Guards use names that exist: ``when`` and ``item`` of the event, ``needs`` of the instance."""
    for place, edge in _placed(definition):
        named = [("when", edge.when), ("needs", edge.needs), ("item", edge.item)]
        named += [("set", value) for value in edge.set.values()]
        named += [("append", value) for value in edge.append.values()]
        for field, guard in named:
            for root, name in sorted(guard.names) if guard is not None else ():
                if problem := _unknown(definition, root, name):
                    yield Finding((*place, field), problem)
                elif root == "event" and (field == "needs" or not edge.event):
                    yield Finding((*place, field), "`event.…` belongs into `when`")
                elif root != "event" and field == "when":
                    yield Finding((*place, field), f"`{root}.…` belongs into `needs`")
        for name in (*edge.set, *edge.append):
            if name not in definition.variables:
                yield Finding((*place, "set"), f"there is no variable `{name}`")
    for node_name, node in definition.nodes.items():
        for root, name in sorted(node.each.names) if node.each is not None else ():
            if root != "vars" or name not in definition.variables:
                yield Finding(
                    ("nodes", node_name, "each"), "`each` is a list among the variables, like `vars.receivers`"
                )


def _unknown(definition: Definition, root: str, name: str) -> str:
    known = {
        "event": KNOWN,
        "finance": _FINANCE,
        "children": _CHILDREN,
        "dossier": _DOSSIER,
        "vars": definition.variables.keys(),
        "passed": definition.nodes.keys(),
        "active": definition.nodes.keys(),
    }
    if root not in known:
        return f"`{name}` is no name here; names begin with {', '.join(sorted(known))}" if not root else (
            f"`{root}.{name}`: names begin with {', '.join(sorted(known))}"
        )  # fmt: skip
    return "" if name in known[root] else f"`{root}.{name}` does not exist"


def _kinds(definition: Definition) -> Iterator[Finding]:
    """Each kind has what it needs and nothing it cannot use."""
    for name, node in definition.nodes.items():
        place = ("nodes", name)
        if node.kind is Kind.END and (node.edges or node.timeout):
            yield Finding(place, "an end leads nowhere: use `from_end`")
        if node.kind is Kind.END and not node.state:
            yield Finding(place, "an end has a `state`")
        if node.kind in (Kind.TASK, Kind.MANUAL) and not node.role:
            yield Finding(place, f"a {node.kind} has a `role`")
        if node.kind not in (Kind.END, Kind.FAN_OUT) and not node.edges and not (node.timeout and node.timeout.to):
            yield Finding(place, "nothing leads away from here")
        if node.kind is Kind.FAN_OUT and not node.branches:
            yield Finding(place, "a fan_out has `branches`")
        if node.kind is Kind.FAN_OUT and node.edges:
            yield Finding(place, "a fan_out goes on by its branches alone")
        if node.kind is Kind.JOIN and not node.of:
            yield Finding(place, "a join says `of` which fan_out it is")
        if node.kind is Kind.JOIN and (node.mode == "quorum") != (node.quorum > 0):
            yield Finding(place, "a join with mode quorum has a `quorum` above 0, others have none")
        if node.kind is Kind.PAUSE and node.clock == "authority":
            yield Finding(place, "a pause says whose `clock` runs: not the authority's")


def _forks(definition: Definition) -> Iterator[Finding]:
    """Every fan-out has its join, and only one."""
    for name, node in definition.nodes.items():
        if node.kind is Kind.FAN_OUT:
            joins = [other for other, each in definition.nodes.items() if each.kind is Kind.JOIN and each.of == name]
            if len(joins) != 1:
                yield Finding(("nodes", name), f"a fan_out has one join: found {len(joins)}")
        if node.kind is Kind.JOIN and node.of:
            forked = definition.nodes.get(node.of)
            if forked is None or forked.kind is not Kind.FAN_OUT:
                yield Finding(("nodes", name, "of"), f"`{node.of}` is no fan_out")


def _ways(definition: Definition) -> Iterator[Finding]:
    """Every node can be reached, and an end can be reached from every node."""
    begun = frozenset(definition.start) | frozenset(edge.to for _, edge in definition.edges() if edge.to and not _)
    entered = begun | {edge.to for edge in definition.from_end if edge.to} | set(definition.corrections.values())
    for name in definition.nodes.keys() - definition.reachable(frozenset(entered)) - entered:
        yield Finding(("nodes", name), "no way leads here")
    ends = {name for name, node in definition.nodes.items() if node.kind is Kind.END}
    for name, node in definition.nodes.items():
        if node.kind is not Kind.END and not definition.reachable(frozenset({name})) & ends:
            yield Finding(("nodes", name), "no way leads from here to an end")


def _patience(definition: Definition) -> Iterator[Finding]:
    """Remarks: whoever waits for a citizen or another agency should say how long."""
    for name, node in definition.nodes.items():
        waits = node.kind in (Kind.WAIT, Kind.PAUSE, Kind.MANUAL)
        if waits and node.timeout is None and not _automatic(node):
            yield Finding(("nodes", name), "waits for ever if nothing comes: give it a `timeout`", fault=False)
        if node.kind is Kind.TASK and node.compensation is None:
            yield Finding(("nodes", name), "says nothing of what happens to its work after a withdrawal", fault=False)


def _automatic(node: Node) -> bool:
    return any(not edge.event for edge in node.edges)
