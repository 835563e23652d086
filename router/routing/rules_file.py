"""The routing table's YAML file, validated at the door: every refusal names file, line and rule."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from router.refusals import refused, unfit, words_of
from router.routing.table import Rule
from router.text_file import text_of
from router.yaml_file import parse

SEE: Final = "see docs/routing.md"
SEE_VI: Final = "xem docs/routing.md"


def shipped_rules() -> list[Rule]:
    """The rules that come with the package: the land transfer between four systems, and documents."""
    return parse_rules((files("router.routing") / "data" / "routes.yaml").read_text("utf-8"), "routes.yaml")


def load_rules(path: Path) -> list[Rule]:
    """The rules of a file. Raises ``ConfigError``."""
    return parse_rules(text_of(path), str(path))


def parse_rules(text: str, file: str) -> list[Rule]:
    """Rules from YAML: a mapping with the one key ``rules``, a list. Raises ``ConfigError``."""
    document = parse(text, file)
    listed = document.values.get("rules") if isinstance(document.values, dict) else None
    if not isinstance(listed, list):
        raise refused("no_rules", file=file, key="rules")
    rules: list[Rule] = []
    for number, values in enumerate(listed):
        line = document.line_of(("rules", number))
        try:
            rule = Rule.model_validate({**values, "line": line} if isinstance(values, dict) else values)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = values.get("name", "?") if isinstance(values, dict) else "?"
            key = ", ".join(part for part in (f"rule {name}", ".".join(map(str, first["loc"]))) if part)
            at = document.line_of(("rules", number, *first["loc"]))
            words = words_of(first)
            form, form_vi = words.form or SEE, words.form_vi or SEE_VI
            raise unfit(words, file=file, line=at, key=key, form=form, form_vi=form_vi) from None
        if any(rule.name == other.name for other in rules):
            raise refused("same_name", file=file, line=line, key=f"rule {rule.name}")
        rules.append(rule)
    return rules
