"""YAML files of data, read strictly and with the line of every part. Every refusal names file and line.

A key stands once; ``on``, ``off``, ``yes``, ``no`` are words; anchors, and what is nested deeply, are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import yaml

from router.refusals import refused

LARGEST: Final = 200_000  # characters of a file
DEEPEST: Final = 50  # levels
KIND: Final = "YAML"
_OPENS: Final = (
    yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken, yaml.BlockSequenceStartToken, yaml.BlockMappingStartToken,
)  # fmt: skip
_CLOSES: Final = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)


class Document(NamedTuple):
    """What a file says. ``lines`` are those of its parts, by their place in the file."""

    file: str
    values: Any
    lines: Mapping[tuple[str, ...], int]

    def line_of(self, place: Sequence[object]) -> int:
        """The line of a part, or of what it belongs to."""
        parts = tuple(map(str, place))
        while parts and parts not in self.lines:
            parts = parts[:-1]
        return self.lines.get(parts, 1)


def parse(text: str, file: str, *, texts: bool = False) -> Document:
    """What a YAML text says; with ``texts`` every scalar as it is written. Raises ``ConfigError``."""
    if len(text) > LARGEST:
        raise refused("too_large", file=file, most=LARGEST)
    try:
        root = _composed(text)
        if root is None:
            return Document(file, None, {})
        loader = _Texts("") if texts else _Strict("")
        return Document(file, loader.construct_document(root), dict(_lines(root, ())))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = min(mark.line + 1, len(text.splitlines())) if mark else 0  # what never ends is found behind the last
        found = getattr(error, "problem", None) or getattr(error, "reason", "")
        raise refused("no_syntax", file=file, line=line, kind=KIND, found=found) from error
    except (ValueError, TypeError, OverflowError, RecursionError) as error:  # a date of no calendar, 1,000 brackets
        raise refused("unreadable", file=file, kind=KIND, found=str(error)) from error


def _composed(text: str) -> yaml.Node | None:
    """The document's root; none if it is empty. Anchors and aliases are refused: they can make a small file endless. So
    is what is nested deeply, before anything recursive reads it: libyaml, ten times as fast as Python, would end
    the process.
    """
    depth = 0
    for token in yaml.scan(text, Loader=yaml.CSafeLoader):
        depth += isinstance(token, _OPENS) - isinstance(token, _CLOSES)
        if depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"more than {DEEPEST} levels", problem_mark=token.start_mark)
        if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
            raise yaml.MarkedYAMLError(problem="`&` and `*` are not used here: write it out, or quote the text",
                                       problem_mark=token.start_mark)  # fmt: skip
    return yaml.compose(text, Loader=yaml.CSafeLoader)


class _Strict(yaml.CSafeLoader):
    """YAML in which a key stands once and ``on``, ``off``, ``yes``, ``no`` are words."""


class _Texts(yaml.CBaseLoader):
    """The same with all scalars as texts: a bare ``15:00`` is no number."""


def _mapping(loader: _Strict | _Texts, node: yaml.MappingNode) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "a key is a word or a number", key_node.start_mark)
        key = loader.construct_object(key_node, deep=True)
        if key in made:
            raise yaml.constructor.ConstructorError(None, None, f"{key} stands there twice", key_node.start_mark)
        made[key] = loader.construct_object(value_node, deep=True)
    return made


def _truth(_loader: _Strict, node: yaml.ScalarNode) -> object:
    return {"true": True, "false": False}.get(node.value, node.value)


_Strict.add_constructor("tag:yaml.org,2002:map", _mapping)
_Strict.add_constructor("tag:yaml.org,2002:bool", _truth)
_Texts.add_constructor("tag:yaml.org,2002:map", _mapping)


def _lines(node: yaml.Node, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Where each part of the document stands."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            yield inner, key.start_mark.line + 1
            yield from _lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            inner = (*place, str(number))
            yield inner, value.start_mark.line + 1
            yield from _lines(value, inner)
