"""What kind of value an expression comes to, and where it compares or adds what never fits together. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from router.procedures.expression import Expression
from router.procedures.vocabulary import Fact

#: What is known of ``root.name``; None if nothing is.
Known: TypeAlias = Callable[[str, str], Fact | None]

_TRUTH: Final = Fact("truth")
_MEMBERSHIP: Final = (ast.In, ast.NotIn)


def kind_of(expression: Expression, known: Known) -> str:
    """``text``, ``number``, ``truth`` or ``list``; empty where it cannot be told."""
    fact = _fact(expression.tree, known)
    return fact.kind if fact is not None else ""


def contradictions(expression: Expression, known: Known) -> Iterator[str]:
    """Each comparison or sum that can never come to anything, in words."""
    for node in ast.walk(expression.tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for op, one, other in zip(node.ops, sides, sides[1:], strict=False):
                yield from _compared(op, one, other, known)
        elif isinstance(node, ast.BinOp):
            left, right = _fact(node.left, known), _fact(node.right, known)
            if left and right and (left.kind != right.kind or left.kind == "truth"):
                yield f"`{ast.unparse(node)}`: a {left.kind} and a {right.kind} cannot be added"
            elif isinstance(node.op, ast.Sub) and any(side and side.kind != "number" for side in (left, right)):
                yield f"`{ast.unparse(node)}`: only numbers can be subtracted"


def _compared(op: ast.cmpop, one: ast.expr, other: ast.expr, known: Known) -> Iterator[str]:
    fact, said = _fact(one, known), _fact(other, known)
    if isinstance(op, _MEMBERSHIP):
        members = other.elts if isinstance(other, ast.List) else []
        if said is not None and said.kind not in ("list", "text"):
            yield f"`in` looks into a list, `{ast.unparse(other)}` is a {said.kind}"
        for member in members:
            yield from _against(one, fact, member, _fact(member, known))
        return
    if fact is not None and said is not None and fact.kind != said.kind:
        yield f"`{ast.unparse(one)}` is a {fact.kind}, `{ast.unparse(other)}` a {said.kind}: they are never equal"
    elif isinstance(op, ast.Eq | ast.NotEq):
        yield from _against(one, fact, other, said)
        yield from _against(other, said, one, fact)


def _against(name: ast.expr, fact: Fact | None, value: ast.expr, said: Fact | None) -> Iterator[str]:
    """A fact of limited values against a constant."""
    if fact is None or not isinstance(value, ast.Constant):
        return
    if said is not None and said.kind != fact.kind:
        yield f"`{ast.unparse(name)}` is a {fact.kind}, `{ast.unparse(value)}` a {said.kind}: they are never equal"
    elif fact.values and value.value not in fact.values:
        allowed = ", ".join(map(str, fact.values))
        yield f"`{ast.unparse(name)}` is never {ast.unparse(value)}: it is one of {allowed}"


def _fact(node: ast.expr, known: Known) -> Fact | None:
    match node:
        case ast.Constant(value=bool()):
            return _TRUTH
        case ast.Constant(value=value):
            return Fact("text" if isinstance(value, str) else "number")
        case ast.Name(id="true" | "false"):
            return _TRUTH
        case ast.Name():
            return None  # null, or no name at all
        case ast.Attribute(value=ast.Name(id=root), attr=name):
            return known(root, name)
        case ast.List():
            return Fact("list")
        case ast.BinOp(left=left, right=right):
            made = _fact(left, known) or _fact(right, known)
            return Fact(made.kind) if made is not None else None
    return _TRUTH
