"""The way of an instance along its graph: edges are taken, and what they ask for beside moving is done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from router.procedures import copies, relatives, settlement, signals
from router.procedures.graph import Fit, Graph, Taken
from router.procedures.instance import Event, Instance
from router.procedures.obligation import scope_of
from router.procedures.status import END_OF
from router.procedures.working import Working


def graph_of(work: Working, at: int) -> Graph:
    """The graph as the instance stands on it; ``at`` is when the event that is judged occurred."""
    now = work.instance
    return Graph(
        work.definition, list(now.tokens), list(now.passed), dict(now.arrived), dict(now.forks),
        dict(now.variables), now.end_state, work.now, at,
    )  # fmt: skip


def follow(work: Working, event: Event, *, may_wait: bool) -> Fit:
    """Take the edges that another instance's word opens, and all that follows; nothing if it ``may_wait`` and came
    early.
    """
    at = min(event.occurred_at, work.now)
    graph = graph_of(work, at)
    scope = graph.scope(seen(work.instance))
    fit, taken = graph.look(event, scope)
    if fit is Fit.EARLY and may_wait:
        relatives.tell_children(work)
        return fit
    if fit is Fit.TAKEN:
        graph.take(taken, event, scope)
    settle(work, graph, event)
    work.clocks(at)
    return fit


def jump(work: Working, target: str) -> None:
    """Leave everything and go on at one node."""
    graph = graph_of(work, work.now)
    graph.jump(target)
    settle(work, graph)


def settle(work: Working, graph: Graph, event: Event | None = None) -> None:
    """Follow what needs no event, and do what the edges taken, the first of them by ``event``, ask for beside that."""
    graph.settle(seen(work.instance))
    work.instance = replace(
        work.instance,
        tokens=tuple(graph.tokens),
        passed=tuple(graph.passed),
        arrived=graph.arrived,
        forks=graph.forks,
        variables=graph.variables,
        end_state=graph.end_state,
    )
    if any(edge.tell_children for _, edge, _ in graph.told):
        work.instance = copies.recalled(work.instance)
    for each in graph.told:
        _beside(work, each, event)
    graph.told.clear()
    relatives.tell_children(work)


def compensate(work: Working) -> None:
    """What was done is undone where the definition says so, the last thing first; money is given back."""
    undo(work)
    settlement.give_back(work, work.instance.end_state or "compensated")


def undo(work: Working, only: Collection[str] = ()) -> None:
    """Ask those who worked, at these nodes if any are named, to undo it."""
    scope = {**seen(work.instance), "vars": work.instance.variables}
    seat = work.clockwork.seat
    work.emit(*signals.compensations(work.definition, work.instance, scope, seat, work.now, only))


def seen(instance: Instance) -> Mapping[str, Mapping[str, Any]]:
    """What guards see of an instance beside its place on the graph: its dossier, money and children."""
    children = [child.ended for child in instance.children]
    return {
        "dossier": {
            "status": instance.status,
            "code": instance.dossier.code,
            "accepted": bool(instance.dossier.accepted_at),
            "child": bool(instance.parent),
        },
        "finance": scope_of(instance.finance),
        "children": {
            "total": len(children),
            "open": children.count(""),
            **{state: children.count(state) for state in END_OF.values()},
            "recalled": sum(1 for ended in children if ended in copies.GONE),
            "kept": sum(1 for child in instance.children if copies.keeps(child)),
        },
    }


def _beside(work: Working, taken: Taken, event: Event | None) -> None:
    token, edge, _ = taken
    named = event.facts.get("receivers", ()) if event is not None else ()
    if token is not None:
        unnamed = edge.tell_receivers == "recall" or (named and token.item not in named)
        if edge.tell_receivers and unnamed:
            work.emit(signals.taken_back(work.instance, token.item, work.now))
        if edge.tell_replaced:
            relatives.spare(work, token.item, token.item)
    if edge.tell_sender:
        work.emit(signals.outcome(work.instance, work.now))
    if edge.compensate:
        compensate(work)
    elif edge.undo:
        undo(work, edge.undo)
