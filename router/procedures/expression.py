"""The little language of guards in definitions: names, constants, comparisons, ``and``/``or``/``not``, ``+`` and ``-``.

An expression is parsed with Python's own grammar, checked against a closed set of forms, and walked; nothing is ever
executed. Names are ``root.name``; what is not known is ``None``, and an order comparison with ``None`` is false. What
cannot be added, or has grown out of bounds, is ``None`` too: no definition raises at run time.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final, TypeAlias

#: What an expression sees: ``event.status`` is ``scope["event"]["status"]``.
Scope: TypeAlias = Mapping[str, Mapping[str, Any]]

_COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
_EQUALITIES: Final = (ast.Eq, ast.NotEq)
_SUMS: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {ast.Add: operator.add, ast.Sub: operator.sub}
_LARGEST: Final = 10**15  # of a sum: more than all đồng there are
_LONGEST: Final = 10_000  # characters or elements of a sum
_WORDS: Final = {"true": True, "false": False, "null": None}
LONGEST: Final = 500


class Expression:
    """A parsed expression. Raises ``ValueError`` if the text is not one, saying what of it is not allowed."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        if len(self.text) > LONGEST:
            raise ValueError(f"an expression has at most {LONGEST} characters")
        try:
            self.tree: Final = ast.parse(self.text, mode="eval").body
        except (SyntaxError, RecursionError, MemoryError):
            raise ValueError(f"`{self.text}` is not an expression") from None
        for node in ast.walk(self.tree):
            _check(node, self.text)
        self.names = frozenset(_names(self.tree))

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def value(self, scope: Scope) -> Any:
        """What it comes to."""
        return _value(self.tree, scope)

    def holds(self, scope: Scope) -> bool:
        """Whether it comes to something true."""
        return bool(self.value(scope))


def _check(node: ast.AST, text: str) -> None:
    allowed = (
        ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.Compare, *_COMPARISONS, ast.BinOp, *_SUMS,
        ast.Attribute, ast.Name, ast.Load, ast.List, ast.Constant,
    )  # fmt: skip
    wrong = ""
    if not isinstance(node, allowed):
        wrong = f"{type(node).__name__} is not allowed in a guard"
    elif isinstance(node, ast.Constant) and not isinstance(node.value, str | int):
        wrong = "only texts and whole numbers are constants"
    elif isinstance(node, ast.Attribute) and not isinstance(node.value, ast.Name):
        wrong = "names have two parts, like event.status"
    if wrong:
        raise ValueError(f"`{text}`: {wrong}")


def _names(tree: ast.expr) -> Iterator[tuple[str, str]]:
    """Every ``root.name``; a bare word that is not true, false or null comes as ``("", word)``."""
    inside = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.value.id, node.attr
        elif isinstance(node, ast.Name) and id(node) not in inside and node.id not in _WORDS:
            yield "", node.id


def _value(node: ast.expr, scope: Scope) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=word):
            return _WORDS.get(word)
        case ast.Attribute(value=ast.Name(id=root), attr=name):
            return scope.get(root, {}).get(name)
        case ast.List(elts=elements):
            return [_value(each, scope) for each in elements]
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_value(each, scope) for each in values)
        case ast.BoolOp(values=values):
            return any(_value(each, scope) for each in values)
        case ast.UnaryOp(operand=operand):
            return not _value(operand, scope)
        case ast.BinOp(left=left, op=sum_, right=right):
            return _sum(_SUMS[type(sum_)], _value(left, scope), _value(right, scope))
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            values = [_value(each, scope) for each in (left, *comparators)]
            return all(_compared(op, *pair) for op, pair in zip(ops, pairwise(values), strict=True))
    raise AssertionError(f"{type(node).__name__} was checked when the expression was read")


def _sum(of: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    if one is None or other is None:
        return None
    try:
        made = of(one, other)
    except TypeError:
        return None  # a text and a number
    size = len(made) if isinstance(made, str | list) else abs(made)
    return None if size > (_LONGEST if isinstance(made, str | list) else _LARGEST) else made


def _compared(op: ast.cmpop, one: Any, other: Any) -> bool:
    if isinstance(op, _EQUALITIES):
        return _COMPARISONS[type(op)](one, other)
    if one is None and not isinstance(op, ast.In | ast.NotIn):
        return False
    try:
        return _COMPARISONS[type(op)](one, other)
    except TypeError:
        return False  # a text against a number, or ``in`` what is no list: never true
