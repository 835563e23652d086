"""What the expressions of a definition say: names that exist, where they may stand, and kinds that fit. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from router.procedures.definition import Definition, Edge, Finding, placed
from router.procedures.expression import Expression
from router.procedures.kinds import Known, contradictions, kind_of
from router.procedures.status import Status
from router.procedures.vocabulary import Fact, event_types, facts_told

_NUMBER: Final = Fact("number")
_TRUTH: Final = Fact("truth")
#: What guards see beside the event, the variables and the nodes.
SEEN: Final[Mapping[str, Mapping[str, Fact]]] = {
    "finance": {"complete": _TRUTH, **dict.fromkeys(("generation", "notices", "due", "paid", "suspended"), _NUMBER)},
    "children": dict.fromkeys(("total", "open", "returned", "refused", "withdrawn", "recalled", "kept"), _NUMBER),
    "dossier": {
        "status": Fact("number", tuple(map(int, Status))),
        "code": Fact("text"),
        "accepted": _TRUTH,
        "child": _TRUTH,
    },
}
_ROOTS: Final = ("active", "event", "passed", "vars", *sorted(SEEN))


def guards(definition: Definition) -> Iterator[Finding]:
    """Guards use names that exist, where they may, for what they are: ``when`` and ``item`` of the event, ``needs`` of
    the instance.
    """
    for place, edge in placed(definition):
        for field, guard in _expressions(edge):
            known = _knowing(definition, edge)
            for root, name in sorted(guard.names):
                if problem := _misplaced(definition, edge, field[0], root, name):
                    yield Finding((*place, *field), problem)
            for text in contradictions(guard, known):
                yield Finding((*place, *field), text)
        yield from _assignments(definition, place, edge)
        if not edge.event and not edge.to:
            yield Finding(place, "an edge without an `event` says where `to`: else it is taken for ever")
        if edge.when is not None and not edge.event:
            yield Finding((*place, "when"), "`when` looks at an event: there is none")
    for node_name, node in definition.nodes.items():
        if node.compensation is not None and node.compensation.needs is not None:
            place = ("nodes", node_name, "compensation", "needs")
            yield from (Finding(place, text) for text in _of_instance(definition, node.compensation.needs))
        if node.each is not None and not _is_list(definition, node.each):
            place = ("nodes", node_name, "each")
            yield Finding(place, "`each` is a list among the variables, like `vars.receivers`")


def _of_instance(definition: Definition, guard: Expression) -> Iterator[str]:
    """What is wrong with a guard where there is no event."""
    nothing = Edge()
    wrong = (_misplaced(definition, nothing, "needs", root, name) for root, name in sorted(guard.names))
    yield from filter(None, wrong)
    yield from contradictions(guard, _knowing(definition, nothing))


def _expressions(edge: Edge) -> Iterator[tuple[tuple[str, ...], Expression]]:
    for field, guard in (("when", edge.when), ("needs", edge.needs), ("item", edge.item)):
        if guard is not None:
            yield (field,), guard
    yield from ((("set", name), value) for name, value in edge.set.items())
    yield from ((("append", name), value) for name, value in edge.append.items())


def _misplaced(definition: Definition, edge: Edge, field: str, root: str, name: str) -> str:
    """What is wrong with a name in a guard; empty if it may stand there."""
    if root != "event":
        unknown = _unknown(definition, root, name)
        return unknown or (f"`{root}.…` belongs into `needs`" if field in ("when", "item") else "")
    if not any(name in facts_told(each) for each in event_types("*")):
        return f"`event.{name}` does not exist"
    if not edge.event:
        return "there is no event here: `event.…` belongs into `when`"
    types = [each for pattern in edge.event for each in event_types(pattern)]
    told = not types or any(name in facts_told(each) for each in types)
    return "" if told else f"{', '.join(edge.event)} does not tell `{name}`: see `lgsp procedures events`"


def _unknown(definition: Definition, root: str, name: str) -> str:
    if root not in _ROOTS:
        begin = f"names begin with {', '.join(_ROOTS)}"
        return f"`{root}.{name}`: {begin}" if root else f"`{name}` is no name here; {begin}"
    known = {**SEEN, "vars": definition.variables, "passed": definition.nodes, "active": definition.nodes}
    return "" if name in known[root] else f"`{root}.{name}` does not exist"


def _knowing(definition: Definition, edge: Edge) -> Known:
    """What is known of the names in an edge's expressions."""
    types = [each for pattern in edge.event for each in event_types(pattern)]

    def known(root: str, name: str) -> Fact | None:
        if root == "event":
            told = [facts_told(each)[name] for each in types if name in facts_told(each)]
            if len({fact.kind for fact in told}) != 1:
                return None
            return Fact(told[0].kind, tuple(dict.fromkeys(value for fact in told for value in fact.values)))
        if root == "vars":
            return Fact(_variable(definition, name)) if name in definition.variables else None
        if root in SEEN:
            return SEEN[root].get(name)
        return {"passed": _NUMBER, "active": _TRUTH}.get(root)

    return known


def _assignments(definition: Definition, place: tuple[str, ...], edge: Edge) -> Iterator[Finding]:
    """Variables exist and stay what they are."""
    known = _knowing(definition, edge)
    for field, values in (("set", edge.set), ("append", edge.append)):
        for name, value in values.items():
            if name not in definition.variables:
                yield Finding((*place, field, name), f"there is no variable `{name}`")
                continue
            mine, kind = _variable(definition, name), kind_of(value, known)
            if field == "append" and mine != "list":
                yield Finding((*place, field, name), f"`{name}` is a {mine}: only a list is appended to")
            elif field == "set" and kind and kind != mine:
                yield Finding((*place, field, name), f"`{name}` is a {mine}, `{value.text}` a {kind}")


def _variable(definition: Definition, name: str) -> str:
    match definition.variables[name]:
        case bool():
            return "truth"
        case int():
            return "number"
        case str():
            return "text"
    return "list"


def _is_list(definition: Definition, each: Expression) -> bool:
    names = sorted(each.names)
    return len(names) == 1 and names[0][0] == "vars" and each.text == f"vars.{names[0][1]}" and (
        names[0][1] in definition.variables and _variable(definition, names[0][1]) == "list"
    )  # fmt: skip
