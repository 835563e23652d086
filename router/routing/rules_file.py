"""The routing table's YAML file, validated at the door: every refusal names file, line and rule."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from router.errors import ConfigError
from router.routing.table import Rule


def shipped_rules() -> list[Rule]:
    """The rules that come with the package: the land transfer between four systems, and documents."""
    return parse_rules((files("router.routing") / "data" / "routes.yaml").read_text("utf-8"), "routes.yaml")


def load_rules(path: Path) -> list[Rule]:
    """The rules of a file. Raises ``ConfigError``."""
    try:
        return parse_rules(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("cannot be read", file=str(path), expected="a YAML file in UTF-8") from error


def parse_rules(text: str, file: str) -> list[Rule]:
    """Rules from YAML: a mapping with the one key ``rules``, a list."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else ""
        raise ConfigError("is not YAML", file=file, key=where, expected="YAML") from error
    listed = _rules_node(root, file)
    rules: list[Rule] = []
    for node in listed:
        line = node.start_mark.line + 1
        values = _plain(node)
        name = values.get("name", "?") if isinstance(values, dict) else "?"
        try:
            rule = Rule.model_validate({**values, "line": line} if isinstance(values, dict) else values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = f"line {line}, rule {name}, {'.'.join(map(str, first['loc']))}"
            raise ConfigError(first["msg"], file=file, key=key, expected="see docs/routing.md") from None
        if any(rule.name == other.name for other in rules):
            raise ConfigError("the name is used twice", file=file, key=f"line {line}, rule {rule.name}")
        rules.append(rule)
    return rules


def _rules_node(root: yaml.Node | None, file: str) -> list[yaml.Node]:
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            if key.value == "rules" and isinstance(value, yaml.SequenceNode):
                return list(value.value)
    raise ConfigError("has no list of rules", file=file, key="rules", expected="rules: [ … ]")


def _plain(node: yaml.Node) -> Any:
    return yaml.SafeLoader("").construct_document(node) if node is not None else None
