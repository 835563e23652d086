"""What is wrong or odd about a definition: faults that refuse it, and remarks that do not. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from router.procedures.definition import Definition, Finding, Kind, Node, placed
from router.procedures.guards import guards
from router.procedures.status import PAUSED, Status
from router.procedures.vocabulary import event_types
from router.procedures.ways import astray


def problems(definition: Definition) -> list[Finding]:
    """All findings, faults first."""
    found = [
        *_targets(definition),
        *_statuses(definition),
        *_events(definition),
        *guards(definition),
        *_kinds(definition),
        *_forks(definition),
    ]
    if not any(finding.fault for finding in found):
        found += astray(definition)
    if not any(finding.fault for finding in found):
        found += _patience(definition)
    return sorted(found, key=lambda finding: not finding.fault)


def _targets(definition: Definition) -> Iterator[Finding]:
    """Whatever is named exists."""
    known = definition.nodes
    for place, edge in placed(definition):
        if edge.to and edge.to not in known:
            yield Finding((*place, "to"), f"there is no node `{edge.to}`")
        for name in edge.undo:
            if name not in known:
                yield Finding((*place, "undo"), f"there is no node `{name}`")
    for name, node in known.items():
        if node.role and node.role not in definition.roles:
            yield Finding(("nodes", name, "role"), f"there is no role `{node.role}`")
        if node.timeout is not None and node.timeout.to and node.timeout.to not in known:
            yield Finding(("nodes", name, "timeout", "to"), f"there is no node `{node.timeout.to}`")
        for branch in node.branches:
            if branch not in known:
                yield Finding(("nodes", name, "branches"), f"there is no node `{branch}`")
    for place, name in _entries(definition):
        if name not in known:
            yield Finding(place, f"there is no node `{name}`")


def _entries(definition: Definition) -> Iterator[tuple[tuple[str, ...], str]]:
    """Nodes that are named beside the edges, with where."""
    yield from ((("start",), name) for name in definition.start)
    yield from ((("corrections", str(status)), name) for status, name in definition.corrections.items())
    limits = definition.pause_limits.items()
    yield from ((("pause_limits", str(status), "to"), limit.to) for status, limit in limits if limit.to)


def _statuses(definition: Definition) -> Iterator[Finding]:
    """Statuses that stand as keys exist."""
    for status in definition.corrections.keys() - set(map(int, Status)) | definition.corrections.keys() & {0}:
        yield Finding(("corrections", str(status)), "is no status: they are 1 to 10")
    for status in definition.pause_limits.keys() - set(map(int, PAUSED)):
        yield Finding(("pause_limits", str(status)), "the clock stands still in 5, 6 and 8 alone")


def _events(definition: Definition) -> Iterator[Finding]:
    """Event types are those of the catalogue; a star stands for the rest of a name."""
    for place, edge in placed(definition):
        for event in edge.event:
            if not event_types(event):
                yield Finding((*place, "event"), f"there is no event type `{event}`")
    for event in definition.noted:
        if not event_types(event):
            yield Finding(("noted",), f"there is no event type `{event}`")


def _kinds(definition: Definition) -> Iterator[Finding]:
    """Each kind has what it needs and nothing it cannot use."""
    for name, node in definition.nodes.items():
        yield from (Finding(("nodes", name), text) for wrong, text in _rules(node) if wrong)


def _rules(node: Node) -> Iterator[tuple[object, str]]:
    kind = node.kind
    end, fork, join = kind is Kind.END, kind is Kind.FAN_OUT, kind is Kind.JOIN
    yield end and (node.edges or node.timeout), "an end leads nowhere: use `from_end`"
    yield end and not node.state, "an end has a `state`"
    yield not end and node.state, "only an end has a `state`"
    yield kind in (Kind.TASK, Kind.MANUAL) and not node.role, f"a {kind} has a `role`"
    leads = node.edges or (node.timeout and node.timeout.to)
    yield not end and not fork and not leads, "nothing leads away from here"
    yield fork and not node.branches, "a fan_out has `branches`"
    grows = node.each is not None and all(edge.event and edge.item and not edge.to for edge in node.edges)
    only = "an edge of a fan_out begins further branches: it has `event` and `item`, no `to`, and the node `each`"
    yield fork and node.edges and not grows, only
    yield fork and node.timeout, "a fan_out does not last: it has no `timeout`"
    yield not fork and (node.branches or node.each), "only a fan_out has `branches` and `each`"
    yield join and not node.of, "a join says `of` which fan_out it is"
    wrong = (node.mode == "quorum") != (node.quorum > 0)
    yield join and wrong, "a join with mode quorum has a `quorum` above 0, others have none"
    yield not join and (node.of or node.quorum or node.mode != "all"), "only a join has `of`, `mode` and `quorum`"
    yield kind is Kind.PAUSE and node.clock == "authority", "a pause says whose `clock` runs: not the authority's"


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
            elif forked.edges and node.mode != "all":
                yield Finding(("nodes", name, "mode"), f"`{node.of}` begins further branches: its join waits for `all`")
            elif forked.each is None and node.quorum > len(forked.branches):
                begun = len(forked.branches)
                yield Finding(("nodes", name, "quorum"), f"`{node.of}` begins {begun} branches: a quorum is no more")


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
