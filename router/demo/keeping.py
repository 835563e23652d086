"""What a kept demo leaves for an operator: a configuration to look into it with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

NAME: Final = "lgsp.toml"
HEAD: Final = (
    "# What a demo left. Its simulated partners are gone: look, and order, but nothing is delivered any more.\n"
)


def write_config(folder: Path, values: Mapping[str, Any]) -> Path:
    """Write the demo's settings, for this user alone, as its data directory's own configuration; where it is."""
    path = folder / NAME
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(HEAD + "\n".join(_lines({**values, "data": "."})) + "\n")
    return path


def next_commands(config: Path) -> list[str]:
    """What to type next."""
    return [f"lgsp {words} --config {config}" for words in ("status", "dead list", "routes check", "doctor")]


def _lines(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[str]:
    """TOML of nested tables with texts, numbers and truth values; JSON writes those as TOML does."""
    for name, value in values.items():
        if not isinstance(value, Mapping):
            yield f"{name} = {json.dumps(value, ensure_ascii=False)}"
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield f"[{'.'.join((*above, name))}]"
            yield from _lines(value, (*above, name))
