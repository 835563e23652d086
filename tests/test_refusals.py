"""Files of every kind are refused in one form: where, what was found, which form would do, in both languages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

import router
from router.cli.main import app
from router.configuration import load_settings
from router.errors import ConfigError
from router.procedures.calendar import load_calendar
from router.procedures.definitions_file import load_definition, load_definitions
from router.procedures.trial import load_events
from router.refusals import PROBLEMS, VALUES
from router.routing.registry_files import load_registry
from router.routing.rules_file import load_rules
from router.schema_ids import load_schema_ids

RULES, CALENDAR, DEFINITION, EVENTS = "routes.yaml", "days.yaml", "trial.yaml", "events.yaml"
AGENCIES, SETTINGS, IDS = "agencies.csv", "lgsp.toml", "ids.toml"


def registry(path: Path) -> object:
    """The folder of a registry's file."""
    (path.parent / "codes.csv").write_text("code,agency,valid_from,valid_to\n", "utf-8")
    (path.parent / "successions.csv").write_text("agency,relation,successor,on,discriminator\n", "utf-8")
    return load_registry(path.parent)


READERS: dict[str, Callable[[Path], object]] = {
    RULES: load_rules,
    CALENDAR: lambda path: load_calendar("x", path),
    DEFINITION: load_definition,
    EVENTS: load_events,
    AGENCIES: registry,
    SETTINGS: load_settings,
    IDS: load_schema_ids,
}
HEADER = "id,name,level,parent,valid_from,valid_to,serves\n"

BROKEN = [
    (RULES, "rules:\n  - {name: đất, to: x, match: {priority: gấp}}\n", 2, "rule đất, match.priority", "urgent"),
    (RULES, "rules:\n  - name: đất\n    when: 2025-02-31\n", 0, "", "YAML"),
    (RULES, "rules: &a\n  - *a\n", 1, "", "YAML"),
    (RULES, "rules: " + "[" * 60, 1, "", "YAML"),
    (RULES, "rules:\n  - {name: a, name: b, to: x}\n", 2, "", "YAML"),
    (RULES, "rules: 'a\0b'", 0, "", "YAML"),
    (CALENDAR, "jurisdiction: vn\ndays:\n- {day: 2026-13-02, kind: off, why: x}\n", 3, "days.0.day", "days: ["),
    (CALENDAR, "jurisdiction: vn\nhours:\n- {weekdays: 7h-11h}\n", 3, "hours.0.weekdays", "07:00-11:30"),
    (CALENDAR, "jurisdiction: [", 1, "", "YAML"),
    (CALENDAR, "[" * 5_000, 1, "", "YAML"),
    (CALENDAR, "- một\n- hai\n", 1, "", "days: ["),
    (DEFINITION, "procedure: thử\nversion: 1\n", 1, "procedure", "docs/procedures.md"),
    (DEFINITION, "", 1, "", "a table"),
    (DEFINITION, "a: 1\na: 2\n", 2, "", "YAML"),
    (EVENTS, "event: dossier.accepted\n", 0, "", "{later: 5 working days}"),
    (EVENTS, "- {later: 5 working days}\n- {event: hồ sơ}\n", 2, "entry 2", "procedures events"),
    (AGENCIES, HEADER + "p,Tỉnh,province,,31/02/2025,,\n", 2, "column valid_from", "yyyy-mm-dd"),
    (AGENCIES, HEADER + "p,Tỉnh,province,nobody,,,\n", 2, "column parent", "agencies.csv"),
    (AGENCIES, "id;name\n", 1, "", "id,name,level"),
    (SETTINGS, "[http]\nport = 70000\n", 0, "http.port", "65535"),
    (SETTINGS, "data = ", 0, "", "TOML"),
    (IDS, "[sent]\n", 0, "sent", "read"),
]


@pytest.mark.parametrize(("name", "text", "line", "key", "form"), BROKEN)
def test_a_broken_file_is_refused_with_place_problem_and_form(
    tmp_path: Path, name: str, text: str, line: int, key: str, form: str
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(ConfigError) as raised:
        READERS[name](tmp_path / name)
    said = raised.value
    assert (said.file, said.line, said.key) == (str(tmp_path / name), line, key)
    assert form in said.expected
    english, _, vietnamese = str(said).removeprefix(said.file).partition(" / ")
    assert "(expected " in english
    assert "(cần " in vietnamese


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_missing_or_a_folder_or_not_utf8_is_refused(tmp_path: Path, name: str) -> None:
    for make in (lambda _: None, lambda path: path.mkdir(), lambda path: path.write_bytes(b"a\n\xff\xfe")):
        path = tmp_path / name
        if path.is_dir():
            path.rmdir()
        make(path)
        with pytest.raises(ConfigError) as raised:
            READERS[name](path)
        assert (raised.value.file, raised.value.line) == (str(path), 2 if path.is_file() else 0)
        assert "(cần " in str(raised.value)


def test_choices_are_listed_in_both_languages(tmp_path: Path) -> None:
    (tmp_path / RULES).write_text(BROKEN[0][1], "utf-8")
    with pytest.raises(ConfigError, match=r"'urgent' or 'ordinary'\) / .* \(cần 'urgent' hoặc 'ordinary'\)"):
        load_rules(tmp_path / RULES)


def test_a_folder_of_definitions_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is no folder \(expected .*\) / không phải thư mục \(cần "):
        load_definitions(tmp_path / "none")


def test_every_problem_has_words_in_both_languages() -> None:
    for name, words in (*PROBLEMS.items(), *VALUES.items()):
        assert words.en, name
        assert words.vi, name
        assert bool(words.form) == bool(words.form_vi), name


@pytest.mark.parametrize(
    ("name", "text", "settings", "command", "code"),
    [
        (RULES, "rules: 5\n", "[routing]\nrules = 'routes.yaml'\n", ["routes", "check"], 2),
        (RULES, "rules: 5\n", "[routing]\nrules = 'routes.yaml'\n", ["run"], 2),
        (RULES, "rules: 5\n", "[routing]\nrules = 'routes.yaml'\n", ["doctor"], 1),
        (AGENCIES, "id\n", "[routing]\nagencies = '.'\n", ["routes", "check"], 2),
        (AGENCIES, "id\n", "[routing]\nagencies = '.'\n", ["run"], 2),
        (CALENDAR, "days: [\n", "[procedures]\nenabled = true\noverrides = 'days.yaml'\n", ["run"], 2),
        (CALENDAR, "days: [\n", "[procedures]\nenabled = true\noverrides = 'days.yaml'\n", ["doctor"], 1),
        (DEFINITION, "a: [\n", "[procedures]\nenabled = true\ndefinitions = '.'\n", ["run"], 2),
        (DEFINITION, "a: [\n", "[procedures]\nenabled = true\ndefinitions = '.'\n", ["doctor"], 1),
        (DEFINITION, "a: [\n", "[procedures]\nenabled = true\ndefinitions = '.'\n", ["procedures", "list"], 2),
        (SETTINGS, "", "[http]\nport = 'x'\n", ["status"], 2),
        (SETTINGS, "", "[http]\nport = 'x'\n", ["dossier", "show", "H39.16-250616-0007"], 2),
    ],
)
def test_commands_say_what_is_wrong_with_a_file_and_show_no_trace(
    tmp_path: Path, name: str, text: str, settings: str, command: list[str], code: int
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    config = tmp_path / SETTINGS
    config.write_text(settings, "utf-8")
    told = CliRunner().invoke(app, [*command, "--config", str(config)], env={"COLUMNS": "1000"})
    assert told.exit_code == code, told.output
    assert told.exception is None or isinstance(told.exception, SystemExit)
    assert str(tmp_path / name) in told.output
    assert "(cần " in told.output


def test_a_definition_that_is_no_yaml_is_told_by_lint(tmp_path: Path) -> None:
    file = tmp_path / DEFINITION
    file.write_text("a: [\n", "utf-8")
    told = CliRunner().invoke(app, ["procedures", "lint", str(file), "--json"])
    assert told.exit_code == 1
    assert "(cần YAML)" in told.output
    missing = CliRunner().invoke(app, ["procedures", "lint", str(tmp_path / "none.yaml")])
    assert missing.exit_code == 2
    assert "không đọc được" in missing.output


def test_days_off_are_still_read_as_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / CALENDAR
    file.write_text("jurisdiction: x\ndays:\n- {day: 2026-01-02, kind: off, why: hoán đổi}\n", "utf-8")
    assert not load_calendar("x", file).is_working_day(date(2026, 1, 2))


def test_nothing_is_refused_in_one_language_only() -> None:
    """All words stand in one table, which has both; ``errors`` defines the refusal, ``cli/procedures`` prints one."""
    root = Path(router.__file__).parent
    allowed = {"refusals.py", "errors.py", "cli/procedures.py"}
    raising = {str(file.relative_to(root)) for file in root.rglob("*.py") if " ConfigError(" in file.read_text("utf-8")}
    assert raising <= allowed
    assert all(words.en and words.vi and bool(words.form) == bool(words.form_vi) for words in PROBLEMS.values())
