"""Every command in the documentation is one that the command line takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from router.cli.main import app

USAGE = typer.BadParameter.__mro__[1]  # Typer does not export its UsageError
ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "connectors" / "README.md"]
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    """The lines of code blocks that begin with ``lgsp``, by page, without comments and what they are piped to."""
    found = []
    for page in PAGES:
        for block in BLOCK.findall(page.read_text("utf-8")):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(page.name, line.strip().removeprefix("$ ")) for line in lines]
    return [(page, re.split(r"\s#\s|\s[|>]\s", line)[0].strip()) for page, line in found if line.startswith("lgsp ")]


def inline() -> list[tuple[str, str]]:
    """Commands named in running text: only their words are looked at."""
    named = re.compile(r"`lgsp ([a-z -]+?)(?: [^`a-z-][^`]*)?`")
    return [(page.name, words) for page in PAGES for words in named.findall(page.read_text("utf-8"))]


def test_there_are_commands_to_check() -> None:
    assert len(commands()) > 10
    assert len(inline()) > 5


@pytest.mark.parametrize(("page", "line"), commands())
def test_a_command_of_a_code_block_is_parsed(
    page: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)[1:]
    for word in words:
        if word.endswith((".avro", ".yaml", ".json", ".csv")):
            Path(word).parent.mkdir(parents=True, exist_ok=True)
            Path(word).touch()  # files that an operator would have
    parse(typer.main.get_command(app), ["7" if word.startswith("<") else word for word in words])


@pytest.mark.parametrize(("page", "words"), inline())
def test_a_command_of_the_text_exists(page: str, words: str) -> None:
    command: Any = typer.main.get_command(app)
    for word in words.split():
        if word.startswith("-") or not isinstance(command, TyperGroup):
            return
        assert word in command.commands, f"there is no command {word}"
        command = command.commands[word]


def parse(command: Any, words: list[str]) -> None:
    """Parse without running. Raises ``USAGE``."""
    context = command.make_context("lgsp", list(words))
    rest = [*getattr(context, "_protected_args", []), *context.args]
    if isinstance(command, TyperGroup) and rest:
        _, found, left = command.resolve_command(context, rest)
        parse(found, left)


@pytest.mark.parametrize("line", ["dead groups --lang vi", "statsu", "purge --older-then 3", "lane show"])
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    with pytest.raises(USAGE):
        parse(typer.main.get_command(app), line.split())
