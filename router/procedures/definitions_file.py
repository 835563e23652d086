"""Definitions from YAML files, validated at the door: every refusal names file, line and what was expected."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from router.errors import ConfigError
from router.procedures.definition import Definition, Finding
from router.procedures.lint import problems

EXPECTED: Final = "see docs/procedures.md"
LARGEST: Final = 200_000  # characters of a file


def shipped_definitions() -> list[Definition]:
    """The definitions that come with the package, all versions."""
    folder = files("router.procedures") / "definitions"
    named = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    return [parse_definition((folder / name).read_text("utf-8"), name) for name in named]


def load_definitions(folder: Path) -> list[Definition]:
    """The definitions of a folder (``*.yaml``). Raises ``ConfigError``."""
    if not folder.is_dir():
        raise ConfigError("is no folder", file=str(folder), key="procedures.definitions", expected="a folder of *.yaml")
    return [load_definition(file) for file in sorted(folder.glob("*.yaml"))]


def load_definition(file: Path) -> Definition:
    """The definition of one file. Raises ``ConfigError``."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("cannot be read", file=str(file), expected="a YAML file in UTF-8") from error
    return parse_definition(text, str(file))


def parse_definition(text: str, file: str) -> Definition:
    """A definition from YAML, without faults. Raises ``ConfigError`` for the first one."""
    lines, made = _read(text, file)
    findings = made if isinstance(made, list) else problems(made)
    for finding in findings:
        if finding.fault:
            raise ConfigError(finding.text, file=file, key=_named(finding.place, lines), expected=EXPECTED)
    assert not isinstance(made, list)  # what is no definition has faults
    return made


def linted(text: str, file: str) -> tuple[Definition | None, list[tuple[int, Finding]]]:
    """Everything there is to say about a definition, each with its line; no definition if its form is wrong.

    Raises ``ConfigError``, with its line as ``key``, if it is not even YAML.
    """
    lines, made = _read(text, file)
    findings = made if isinstance(made, list) else problems(made)
    said = [(_line(finding.place, lines), finding) for finding in findings]
    return None if isinstance(made, list) else made, said


def _read(text: str, file: str) -> tuple[dict[tuple[str, ...], int], Definition | list[Finding]]:
    """The line of each part, and the definition, or what is wrong with its form. Raises ``ConfigError``."""
    try:
        if len(text) > LARGEST:
            raise ConfigError("is too large", file=file, expected=f"at most {LARGEST:,} characters")
        root = _composed(text)
        lines = dict(_lines(root, ())) if root is not None else {}
        values = _Strict("").construct_document(root) if root is not None else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "is not YAML"
        raise ConfigError(str(problem), file=file, key=where, expected="YAML") from error
    except (ValueError, TypeError, OverflowError, RecursionError) as error:  # a date of no calendar, 1,000 brackets
        raise ConfigError(f"cannot be read: {error}", file=file, expected="YAML") from error
    try:
        return lines, Definition.model_validate(values)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        return lines, [Finding(tuple(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")) for one in wrong]


DEEPEST: Final = 50  # levels in a definition
_OPENS: Final = (
    yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken, yaml.BlockSequenceStartToken, yaml.BlockMappingStartToken,
)  # fmt: skip
_CLOSES: Final = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)


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


def _mapping(loader: _Strict, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
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


def _line(place: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> int:
    """The line of a part, or of what it belongs to."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _named(place: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> str:
    return f"line {_line(place, lines)}, {'.'.join(place)}" if place else "line 1"
