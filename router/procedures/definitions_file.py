"""Definitions from YAML files, validated at the door: every refusal names file, line and what was expected."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from router.errors import ConfigError
from router.procedures.definition import Definition
from router.procedures.lint import Finding, problems

EXPECTED: Final = "see docs/procedures.md"


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
    """A definition from YAML, without faults. Raises ``ConfigError``."""
    definition, lines = read_definition(text, file)
    for finding in problems(definition):
        if finding.fault:
            raise ConfigError(finding.text, file=file, key=_named(finding.place, lines), expected=EXPECTED)
    return definition


def linted(text: str, file: str) -> tuple[Definition, list[tuple[int, Finding]]]:
    """A definition with everything there is to say about it, each with its line. Raises ``ConfigError`` if it cannot
    be read at all.
    """
    definition, lines = read_definition(text, file)
    return definition, [(_line(finding.place, lines), finding) for finding in problems(definition)]


def read_definition(text: str, file: str) -> tuple[Definition, dict[tuple[str, ...], int]]:
    """A definition as far as its form goes, and the line of each of its parts. Raises ``ConfigError``."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.load(text, Loader=_Strict)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "is not YAML"
        raise ConfigError(str(problem), file=file, key=where, expected="YAML") from error
    lines = dict(_lines(root, ())) if root is not None else {}
    try:
        return Definition.model_validate(values), lines
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = tuple(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(message, file=file, key=_named(place, lines), expected=EXPECTED) from None


class _Strict(yaml.SafeLoader):
    """YAML in which a key stands once and ``on``, ``off``, ``yes``, ``no`` are words."""


def _mapping(loader: _Strict, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    made: dict[Any, Any] = {}
    for key_node, value_node in node.value:
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
