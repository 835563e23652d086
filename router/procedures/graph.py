"""Tokens on the graph of a definition: which edges an event takes, what follows by itself, what an event is if none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from router.procedures import dues
from router.procedures.definition import Definition, Edge, Kind, Node
from router.procedures.expression import Scope
from router.procedures.instance import Event, Token

MOST_MOVES: Final = 1_000  # without an event, of each token: lint refuses circles, this stops what it would miss
MOST_ELEMENTS: Final = 10_000  # of a list that edges append to


class Fit(StrEnum):
    """What the graph makes of an event now."""

    UNMENTIONED = "unmentioned"  # no edge of the definition speaks of it
    TAKEN = "taken"  # an edge of an active node takes it
    EARLY = "early"  # a node that can still be reached would take it
    PASSED = "passed"  # only nodes that were left would have taken it, or it tells of an earlier round
    NOWHERE = "nowhere"  # a node that cannot be reached any more


class Taken(NamedTuple):
    """An edge and the token that leaves by it; no token for edges of the whole instance, and for those of a ``fork``
    that grows.
    """

    token: Token | None
    edge: Edge
    fork: str = ""


@dataclass(slots=True)
class Graph:
    """The moving part of a step. ``told`` collects the edges taken, in order: some have effects outside the graph."""

    definition: Definition
    tokens: list[Token]
    passed: list[str]
    arrived: dict[str, int]
    forks: dict[str, int]
    variables: dict[str, Any]
    end_state: str
    now: int
    at: int  # when the event that is judged occurred, by its source
    told: list[Taken] = field(default_factory=list)

    def begin(self) -> None:
        """Make the start nodes active."""
        for name in self.definition.start:
            self._enter(name, "", ())

    def scope(self, others: Mapping[str, Mapping[str, Any]]) -> Scope:
        """What guards see: the instance's parts, its variables, and how often each node was left or is active."""
        counts: dict[str, int] = {}
        for left in self.passed:
            name = left.partition("[")[0]
            counts[name] = counts.get(name, 0) + 1
        active = {token.node: True for token in self.tokens}
        return {**others, "vars": self.variables, "passed": counts, "active": active}

    def look(self, event: Event, scope: Scope) -> tuple[Fit, list[Taken]]:
        """Which edges the event takes now; if none, what kind of event it is."""
        seen = {**scope, "event": event.facts}
        taken = [Taken(token, edge) for token in self.tokens if (edge := self._edge(token, event, seen)) is not None]
        taken += self._growing(event, seen)
        if not taken:
            edges = self.definition.from_end if self.end_state else self.definition.anywhere
            taken = [Taken(None, edge) for edge in edges if _matches(edge, event, seen) and _ready(edge, seen)][:1]
        if taken:
            return Fit.TAKEN, taken
        return self._without(event, seen), []

    def take(self, taken: Sequence[Taken], event: Event, scope: Scope) -> None:
        """Move the tokens."""
        for token, edge, fork in taken:
            if token is not None and token not in self.tokens:
                continue  # an edge before this one has ended the instance, or cancelled its branch
            self._assign(edge, {**scope, "event": event.facts})
            if fork:
                self._grow(fork, edge, {**scope, "event": event.facts})
            elif token is None:
                self.told.append(Taken(None, edge))
                if edge.to:
                    self._leave_everything()
                    self.end_state = ""
                    self._enter(edge.to, "", ())
            else:
                self._follow(token, edge)

    def settle(self, scope: Mapping[str, Mapping[str, Any]]) -> None:
        """Take every edge that asks for no event, until none is ready. It always ends: an instance that would go round
        in circles stays where it is.
        """
        for _ in range(MOST_MOVES * (1 + len(self.tokens))):
            if (found := self._automatic(self.scope(scope))) is None:
                return
            token, edge = found
            self._assign(edge, self.scope(scope))
            self._follow(token, edge)

    def time_out(self, token: Token, target: str) -> None:
        """A token's patience is over: it goes to ``target``, or stays with its alert given."""
        place = self.tokens.index(token)
        if not target:
            self.tokens[place] = token._replace(alerted=True)
            return
        self._leave(token)
        self._enter(target, token.item, token.forks)

    def jump(self, target: str) -> None:
        """Everything active is left and the instance goes on at one node (a correction)."""
        self._leave_everything()
        self.end_state = ""
        self._enter(target, "", ())

    def _edge(self, token: Token, event: Event, scope: Scope) -> Edge | None:
        for edge in self._node(token).edges:
            if _means(edge, token.item, scope) and _matches(edge, event, scope) and _ready(edge, scope):
                return edge
        return None

    def _without(self, event: Event, scope: Scope) -> Fit:
        """An event that nothing takes: early, passed, nowhere, or no matter of this definition."""
        speaking = {name for name, edge in self.definition.edges() if _matches(edge, event, scope)}
        if not speaking:
            return Fit.UNMENTIONED
        if self.end_state:
            return Fit.PASSED if speaking & self._left(event, scope) else Fit.NOWHERE
        active = frozenset(token.node for token in self.tokens)
        if "" in speaking or speaking & active & self._waiting(event, scope):
            return Fit.EARLY
        left = speaking & self._left(event, scope)
        if self._ahead(speaking, left, event.occurred_at):
            return Fit.EARLY
        return Fit.PASSED if left else Fit.NOWHERE

    def _ahead(self, speaking: set[str], left: set[str], occurred_at: int) -> bool:
        """Whether a node that would take the event can still be reached: also one that was left, when its way leads
        back there and the event is of this round, not a repeat of what an earlier one had.
        """
        for token in self.tokens:
            ahead = speaking & self.definition.reachable(frozenset({token.node}))
            if ahead - left or (ahead and not dues.older(occurred_at, token.told_at)):
                return True
        return False

    def _waiting(self, event: Event, scope: Scope) -> set[str]:
        """Active nodes with an edge that fits the event but is not ready, for the item that the event means."""
        return {
            token.node
            for token in self.tokens
            for edge in self._node(token).edges
            if _means(edge, token.item, scope) and _matches(edge, event, scope)
        }

    def _left(self, event: Event, scope: Scope) -> set[str]:
        """Nodes that were left, for the item that the event means."""
        found: set[str] = set()
        for name, edge in self.definition.edges():
            if not _matches(edge, event, scope):
                continue
            if any(left == name or (left.startswith(f"{name}[") and _means(edge, left[len(name) + 1 : -1], scope))
                   for left in self.passed):  # fmt: skip
                found.add(name)
        return found

    def _automatic(self, scope: Scope) -> tuple[Token, Edge] | None:
        for token in self.tokens:
            for edge in self._node(token).edges:
                if not edge.event and edge.to and _ready(edge, scope):
                    return token, edge
        return None

    def _follow(self, token: Token, edge: Edge) -> None:
        self.told.append(Taken(token, edge))
        if not edge.to:
            return
        self._leave(token)
        self._enter(edge.to, token.item, token.forks)

    def _assign(self, edge: Edge, scope: Scope) -> None:
        for name, expression in edge.set.items():
            self.variables[name] = expression.value(scope)
        for name, expression in edge.append.items():
            known = self.variables.get(name)
            before = known if isinstance(known, list) else []
            if (value := expression.value(scope)) is not None and len(before) < MOST_ELEMENTS:
                self.variables[name] = [*before, value]

    def _leave(self, token: Token) -> None:
        self.tokens.remove(token)
        self.passed.append(token.id)

    def _leave_everything(self) -> None:
        for token in list(self.tokens):
            self._leave(token)
        self.arrived.clear()
        self.forks.clear()

    def _enter(self, name: str, item: str, forks: tuple[str, ...]) -> None:
        node = self.definition.nodes[name]
        match node.kind:
            case Kind.FAN_OUT:
                self._fan_out(name, node, item, forks)
            case Kind.JOIN:
                self._join(name, node, forks)
            case Kind.END:
                self._leave_everything()
                self.end_state = node.state
            case _:
                self.tokens.append(Token(name, item, self.now, forks, told_at=self.at))

    def _fan_out(self, name: str, node: Node, item: str, forks: tuple[str, ...]) -> None:
        self.passed.append(name)
        inside = (*forks, name)
        if node.each is None:
            begun = [(branch, item) for branch in node.branches]
        else:
            listed = node.each.value({"vars": self.variables})
            elements = dict.fromkeys(map(str, listed if isinstance(listed, list) else ()))
            begun = [(branch, element) for element in elements for branch in node.branches]
        self.forks[name] = len(begun)
        self.arrived.pop(self._joined(name), None)
        for branch, each in begun:
            self._enter(branch, each, inside)
        if not begun:
            self.tokens.append(Token(self._joined(name), "", self.now, forks, told_at=self.at))

    def _growing(self, event: Event, scope: Scope) -> list[Taken]:
        """Edges of fan-outs under way that the event takes: nothing has gone on behind their join yet."""
        return [
            Taken(None, edge, name)
            for name, node in self.definition.nodes.items()
            if node.kind is Kind.FAN_OUT and node.edges and self._under_way(name)
            for edge in node.edges
            if _matches(edge, event, scope) and _ready(edge, scope)
        ]

    def _under_way(self, fork: str) -> bool:
        join = self._joined(fork)
        return fork in self.forks and any(fork in token.forks or token.node == join for token in self.tokens)

    def _grow(self, fork: str, edge: Edge, scope: Scope) -> None:
        """Begin a branch for each element that has none; the join waits for them, though it was reached already."""
        node, join = self.definition.nodes[fork], self._joined(fork)
        said = edge.item.value(scope) if edge.item is not None else None
        has = {token.item for token in self.tokens if fork in token.forks}
        named = said if isinstance(said, list) else [said] if said else []
        fresh = [each for each in dict.fromkeys(map(str, named)) if each not in has]
        reached = next((token for token in self.tokens if token.node == join), None)
        around = next((token.forks for token in self.tokens if fork in token.forks), None)
        outer = around[: around.index(fork)] if around is not None else reached.forks if reached is not None else ()
        if fresh and reached is not None:
            self.tokens.remove(reached)
        self.forks[fork] += len(fresh) * len(node.branches)
        for each in fresh:
            for branch in node.branches:
                self._enter(branch, each, (*outer, fork))

    def _joined(self, fork: str) -> str:
        return next(name for name, node in self.definition.nodes.items() if node.kind is Kind.JOIN and node.of == fork)

    def _join(self, name: str, node: Node, forks: tuple[str, ...]) -> None:
        self.arrived[name] = self.arrived.get(name, 0) + 1
        begun = self.forks.get(node.of, 0)
        wanted = {"all": begun, "any": 1, "quorum": min(node.quorum, begun)}[node.mode]
        if self.arrived[name] != wanted:
            return
        for token in [each for each in self.tokens if node.of in each.forks]:
            self._leave(token)
        outer = forks[: forks.index(node.of)] if node.of in forks else ()
        self.tokens.append(Token(name, "", self.now, outer, told_at=self.at))

    def _node(self, token: Token) -> Node:
        return self.definition.nodes[token.node]


def _means(edge: Edge, item: str, scope: Scope) -> bool:
    """Whether an edge's event is about this branch: its ``item`` is it, or a list with it."""
    if edge.item is None or not item:
        return True
    said = edge.item.value(scope)
    return item in said if isinstance(said, list) else said == item


def _matches(edge: Edge, event: Event, scope: Scope) -> bool:
    named = any(event.type == each or (each.endswith("*") and event.type.startswith(each[:-1])) for each in edge.event)
    return named and (edge.when is None or edge.when.holds(scope))


def _ready(edge: Edge, scope: Scope) -> bool:
    return edge.needs is None or edge.needs.holds(scope)
