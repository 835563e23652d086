"""What was ever written stays readable: today's schemas against every released version."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse

import schemas
from schemas.catalogue import current_schemas, released_schemas

CURRENT = current_schemas()
RELEASED = [(f"{s['namespace']}.{s['name']}", s) for s in released_schemas()]


def compatible(reader: dict[str, Any], writer: dict[str, Any]) -> bool:
    """Whether the reader's schema reads what the writer's wrote, as Avro's own checker sees it."""
    checked = ReaderWriterCompatibilityChecker().get_compatibility(parse(json.dumps(reader)), parse(json.dumps(writer)))
    return checked.compatibility is SchemaCompatibilityType.compatible


@pytest.mark.parametrize(("name", "writer"), RELEASED, ids=[name for name, _ in RELEASED])
def test_todays_schema_reads_every_released_version(name, writer):
    assert compatible(CURRENT[name], writer)


def test_every_record_was_released():
    assert {name for name, _ in RELEASED} == set(CURRENT)


def test_released_versions_count_from_one_without_gaps():
    root = Path(next(iter(schemas.__path__))) / "released"
    versions: dict[str, list[int]] = {}
    for file in root.rglob("*.avsc"):
        stem, number = re.fullmatch(r"(\w+)\.(\d+)\.avsc", file.name).groups()
        versions.setdefault(f"{file.parent.name}/{stem}", []).append(int(number))
    assert {path: sorted(numbers) for path, numbers in versions.items()} == {
        path: list(range(1, len(numbers) + 1)) for path, numbers in versions.items()
    }


@pytest.mark.parametrize("name", sorted(CURRENT))
def test_a_new_field_without_a_default_would_be_seen(name):
    broken = copy.deepcopy(CURRENT[name])
    broken["fields"].append({"name": "new_and_required", "type": "string", "doc": "x"})
    assert not compatible(broken, CURRENT[name])
    broken["fields"][-1]["default"] = ""
    assert compatible(broken, CURRENT[name])
