"""Definitions from YAML files, validated at the door: every refusal names file, line and what was expected."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from router.procedures.definition import Definition, Finding
from router.procedures.lint import problems
from router.refusals import Words, refused, unfit, words_of
from router.text_file import text_of
from router.yaml_file import Document, parse

SEE: Final = "see docs/procedures.md"
SEE_VI: Final = "xem docs/procedures.md"


def shipped_definitions() -> list[Definition]:
    """The definitions that come with the package, all versions."""
    folder = files("router.procedures") / "definitions"
    named = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    return [parse_definition((folder / name).read_text("utf-8"), name) for name in named]


def load_definitions(folder: Path) -> list[Definition]:
    """The definitions of a folder (``*.yaml``). Raises ``ConfigError``."""
    if not folder.is_dir():
        raise refused("no_folder", file=str(folder), key="procedures.definitions", kind="*.yaml")
    return [load_definition(file) for file in sorted(folder.glob("*.yaml"))]


def load_definition(file: Path) -> Definition:
    """The definition of one file. Raises ``ConfigError``."""
    return parse_definition(text_of(file), str(file))


def parse_definition(text: str, file: str) -> Definition:
    """A definition from YAML, without faults. Raises ``ConfigError`` for the first one."""
    document = parse(text, file)
    made = _made(document)
    for finding in made if isinstance(made, list) else problems(made):
        if finding.fault:
            words = Words(finding.text, finding.vi or f"không dùng được: {finding.text}")
            line, key = document.line_of(finding.place), ".".join(finding.place)
            form, form_vi = finding.form or SEE, finding.form_vi or SEE_VI
            raise unfit(words, file=file, line=line, key=key, form=form, form_vi=form_vi)
    assert not isinstance(made, list)  # what is no definition has faults
    return made


def linted(text: str, file: str) -> tuple[Definition | None, list[tuple[int, Finding]]]:
    """Everything there is to say about a definition, each with its line; no definition if its form is wrong.

    Raises ``ConfigError``, with its line, if it is not even YAML.
    """
    document = parse(text, file)
    made = _made(document)
    findings = made if isinstance(made, list) else problems(made)
    said = [(document.line_of(finding.place), finding) for finding in findings]
    return None if isinstance(made, list) else made, said


def _made(document: Document) -> Definition | list[Finding]:
    """The definition, or what is wrong with its form."""
    try:
        return Definition.model_validate(document.values)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        said = [(tuple(map(str, one["loc"])), words_of(one)) for one in wrong]
        return [Finding(place, words.en, True, words.vi, words.form, words.form_vi) for place, words in said]
