"""The page of guarantees names tests that exist, at least one for each promise."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PAGE = (TESTS.parent / "docs" / "guarantees.md").read_text("utf-8")
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def test_each_of_the_seven_promises_names_a_test() -> None:
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    promises = [section for section in sections if section[:1].isdigit()]
    assert len(promises) == 7
    assert all(NAMED.search(promise) for promise in promises)


def test_every_test_that_is_named_exists() -> None:
    missing = []
    for file, name in NAMED.findall(PAGE):
        path = TESTS / file
        tree = ast.parse(path.read_text("utf-8")) if path.is_file() else ast.Module([], [])
        if name not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}:
            missing.append(f"{file}::{name}")
    assert missing == []
