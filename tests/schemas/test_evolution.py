"""What was released can be read for ever: BACKWARD_TRANSITIVE for each record, judged by Apache Avro's own checker."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse

from router.codec import fingerprint_of
from schemas.catalogue import current_schemas, released_schemas

CURRENT = current_schemas()


def versions() -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Full name, version and schema of everything released."""
    for family in (files("schemas") / "released").iterdir():
        for file in family.iterdir():
            schema = json.loads(file.read_text("utf-8"))
            yield f"{schema['namespace']}.{schema['name']}", int(file.name.split(".")[1]), schema


RELEASED = sorted(versions(), key=lambda version: version[:2])


def compatible(reader: dict[str, Any], writer: dict[str, Any]) -> bool:
    checked = ReaderWriterCompatibilityChecker().get_compatibility(parse(json.dumps(reader)), parse(json.dumps(writer)))
    return checked.compatibility is SchemaCompatibilityType.compatible


@pytest.mark.parametrize(("name", "version", "schema"), RELEASED, ids=[f"{n}-{v}" for n, v, _ in RELEASED])
def test_todays_schema_reads_every_released_version(name: str, version: int, schema: dict[str, Any]) -> None:
    assert compatible(CURRENT[name], schema)


@pytest.mark.parametrize("name", sorted(CURRENT))
def test_todays_schema_is_the_last_released_version(name: str) -> None:
    """A changed schema gets its next version under ``schemas/released`` in the same commit."""
    last = max((version for version in RELEASED if version[0] == name), key=lambda version: version[1])
    assert fingerprint_of(last[2]) == fingerprint_of(CURRENT[name])


@pytest.mark.parametrize("name", sorted(CURRENT))
def test_the_versions_of_a_record_are_numbered_without_gaps(name: str) -> None:
    numbers = [version for released, version, _ in RELEASED if released == name]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_loader_finds_every_released_file() -> None:
    assert sorted(map(fingerprint_of, released_schemas())) == sorted(
        fingerprint_of(schema) for _, _, schema in RELEASED
    )


def _require(schema: dict[str, Any]) -> None:
    schema["fields"].append({"name": "added", "type": "string"})


def _retype(schema: dict[str, Any]) -> None:
    next(field for field in schema["fields"] if field["name"] == "code")["type"] = "long"


def _rename(schema: dict[str, Any]) -> None:
    next(field for field in schema["fields"] if field["name"] == "code")["name"] = "number"


@pytest.mark.parametrize("breaking", [_require, _retype, _rename])
def test_the_check_catches_what_would_break_readers(breaking: Callable[[dict[str, Any]], None]) -> None:
    written = CURRENT["vn.lgsp.dossier.Dossier"]
    changed = copy.deepcopy(written)
    breaking(changed)
    assert not compatible(changed, written)


def test_an_optional_field_and_a_new_symbol_break_nobody() -> None:
    written = CURRENT["vn.lgsp.dossier.Dossier"]
    changed = copy.deepcopy(written)
    changed["fields"].append({"name": "added", "type": ["null", "string"], "default": None})
    next(field for field in changed["fields"] if field["name"] == "status")["type"]["symbols"].append("RECALLED")
    assert compatible(changed, written)
