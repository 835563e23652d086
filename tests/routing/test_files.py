"""Rules and registry as files: a mistake is named with its file and line, before anything is routed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from unicodedata import normalize

import pytest

from router.errors import ConfigError
from router.routing.agencies import Directory, Registry
from router.routing.lint import check
from router.routing.registry_files import load_registry, shipped_registry, write_registry
from router.routing.registry_records import entry_of, record_of
from router.routing.rules_file import load_rules, parse_rules, shipped_rules
from router.routing.table import Match, Routes, Rule
from schemas.catalogue import EVENT_TYPES

FILES = {
    "agencies.csv": "# Đơn vị\nid,name,level,parent,valid_from,valid_to,serves\np,Tỉnh,province,,,,one_stop=desk\n",
    "codes.csv": "code,agency,valid_from,valid_to\nH39,p,,\n",
    "successions.csv": "agency,relation,successor,on,discriminator\n",
}


def folder_of(path: Path, **changed: str) -> Path:
    for name, text in FILES.items():
        (path / name).write_text(text + changed.get(name.removesuffix(".csv"), ""), "utf-8")
    return path


def test_a_registry_is_read_from_its_files(tmp_path):
    registry = load_registry(folder_of(tmp_path))
    assert registry.agencies["p"].serves == {"one_stop": "desk"}
    assert [code.value for code in registry.codes_of("p")] == ["H39"]


def test_the_registrys_version_changes_with_any_of_its_files(tmp_path):
    before = load_registry(folder_of(tmp_path)).version
    assert load_registry(folder_of(tmp_path)).version == before
    assert load_registry(folder_of(tmp_path, codes="H40,p,,\n")).version != before


@pytest.mark.parametrize(
    ("file", "line", "number", "column", "said"),
    [
        ("agencies", "q,,province,,,,", 4, "name", "is empty"),
        ("agencies", "q,Huyện,district,,2025-13-01,,", 4, "valid_from", "2025-13-01"),
        ("agencies", "q,Huyện,district,,2025-07-01,2025-07-01,", 4, "valid_to", "a day after valid_from"),
        ("agencies", "q,Huyện,district,nobody,,,", 4, "parent", "'nobody' is no agency"),
        ("agencies", "q,Huyện,district,q,,,", 4, "parent", "goes in a circle: q → q"),
        ("agencies", "p,Huyện,district,,,,", 4, "id", "stands in line 3 already"),
        ("agencies", "q,Huyện,district,,,,desk", 4, "serves", "role=recipient"),
        ("agencies", "q,Huyện", 4, "", "2 cells"),
        ("codes", "H40,nobody,,", 3, "agency", "'nobody' is no agency"),
        ("codes", "H39,p,2025-07-01,", 3, "code", "a code of p then (line 2)"),
        ("codes", "H40,p,,,", 3, "", "5 cells"),
        ("successions", "p,vanished,p,,", 2, "relation", "renamed | merged_into"),
        ("successions", "p,renamed,nobody,,", 2, "successor", "'nobody' is no agency"),
        ("successions", "p,renamed,,,", 2, "successor", "is empty"),
        ("successions", "p,split_into,p,,27991", 2, "discriminator", "commune=27991"),
        ("successions", "p,renamed,p,,", 2, "successor", "goes in a circle: p → p"),
    ],
)
def test_a_wrong_line_of_the_registry_is_named(tmp_path, file, line, number, column, said):
    with pytest.raises(ConfigError) as refused:
        load_registry(folder_of(tmp_path, **{file: line + "\n"}))
    assert refused.value.file.endswith(f"{file}.csv")
    assert (refused.value.line, refused.value.key) == (number, f"column {column}" if column else "")
    assert said in str(refused.value)


def test_a_grace_ends_no_earlier_than_its_agency(tmp_path):
    columns = "id,name,level,parent,valid_from,valid_to,grace_until,serves\n"
    (folder_of(tmp_path) / "agencies.csv").write_text(columns + "p,Tỉnh,province,,,2025-07-01,2025-08-01,\n", "utf-8")
    assert load_registry(tmp_path).agencies["p"].grace_until == date(2025, 8, 1)
    (tmp_path / "agencies.csv").write_text(columns + "p,Tỉnh,province,,,2025-07-01,2025-06-01,\n", "utf-8")
    with pytest.raises(ConfigError, match=r"line 2, column grace_until.*2025-07-01.*or later"):
        load_registry(tmp_path)


DIRECTORY = "directory_version,modified_at,is_agency,center_code"


def test_what_the_national_directory_says_of_an_agency_is_read_and_written(tmp_path):
    columns = f"id,name,level,parent,valid_from,valid_to,serves,{DIRECTORY}\n"
    line = "p,Tỉnh,province,,,,,1734,2025-07-01T08:30:00+07:00,true,000.00.00.H39\n"
    (folder_of(tmp_path) / "agencies.csv").write_text(columns + line, "utf-8")
    registry = load_registry(tmp_path)
    said = Directory(1734, datetime(2025, 7, 1, 1, 30, tzinfo=UTC), True, "000.00.00.H39")
    assert registry.agencies["p"].directory == said
    write_registry(tmp_path / "again", registry)
    assert load_registry(tmp_path / "again").entries() == registry.entries()
    assert entry_of(record_of(registry.entries()["p"])) == registry.entries()["p"]


@pytest.mark.parametrize(
    ("cells", "column", "said"),
    [
        ("v7,,,", "directory_version", "digits"),
        (",2025-07-01T08:30:00,,", "modified_at", "+07:00"),
        (",yesterday,,", "modified_at", "is no instant"),
        (",,yes,", "is_agency", "true | false"),
    ],
)
def test_a_wrong_word_of_the_directory_is_named(tmp_path, cells, column, said):
    text = f"id,name,level,parent,valid_from,valid_to,serves,{DIRECTORY}\np,Tỉnh,province,,,,,{cells}\n"
    (folder_of(tmp_path) / "agencies.csv").write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=column) as refused:
        load_registry(tmp_path)
    assert said in str(refused.value)


def test_a_file_as_excel_writes_it_with_letters_taken_apart_is_read(tmp_path):
    text = normalize("NFD", FILES["agencies.csv"].removeprefix("# Đơn vị\n")).replace("\n", "\r\n")
    (folder_of(tmp_path) / "agencies.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load_registry(tmp_path).agencies["p"].name == normalize("NFC", "Tỉnh")


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b"", 1, "is empty"),
        (b"# Ma\ncode;agency;valid_from;valid_to\n", 2, "separated by commas"),
        (b"code,agency,valid_from\n", 1, "other columns"),
        (b"code,agency,valid_from,valid_to,note\n", 1, "other columns"),
        (b"code,agency,valid_from,valid_to\nH39,p,,\nH40\xff,p,,\n", 3, "is not UTF-8"),
        (b"code,agency,valid_from,valid_to\nH39,p,,\n" + b"H" * 200_000 + b",p,,\n", 3, "is not CSV"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_with_the_form_it_should_have(tmp_path, content, line, said):
    (folder_of(tmp_path) / "codes.csv").write_bytes(content)
    with pytest.raises(ConfigError, match=r"codes\.csv") as refused:
        load_registry(tmp_path)
    assert refused.value.line == line
    assert said in str(refused.value)


def test_the_shipped_registry_comes_back_from_its_files_as_it_went_out(tmp_path):
    write_registry(tmp_path / "new", shipped_registry())
    assert load_registry(tmp_path / "new").entries() == shipped_registry().entries()


def test_a_part_may_name_agencies_that_are_known_elsewhere(tmp_path):
    folder_of(tmp_path, codes="H39.1,elsewhere,,\n")
    with pytest.raises(ConfigError, match="is no agency"):
        load_registry(tmp_path)
    assert load_registry(tmp_path, ["elsewhere"]).holders("H39.1") == ["elsewhere"]


def test_a_missing_file_of_the_registry_is_named(tmp_path):
    folder_of(tmp_path)
    (tmp_path / "codes.csv").unlink()
    with pytest.raises(ConfigError, match=r"codes\.csv"):
        load_registry(tmp_path)


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("rules:\n  - name: [", 2, ""),
        ("", 0, "rules"),
        ("rules: 5", 0, "rules"),
        ("- a", 0, "rules"),
        ("rules:\n  - {name: a, to: x}\n  - {name: b}\n", 3, "rule b, to"),
        ("rules:\n  - name: b\n    to: x\n    stopp: true\n", 4, "rule b, stopp"),
        ("rules:\n  - {name: a, to: x, stopp: true}\n", 2, "rule a, stopp"),
        ("rules:\n  - {name: a, to: x, match: {kind: y}}\n", 2, "rule a, match.kind"),
        ("rules:\n  - {name: a, to: x, match: {priority: high}}\n", 2, "rule a, match.priority"),
        ("rules:\n  - {name: a, to: x}\n  - {name: a, to: y}\n", 3, "rule a"),
        ("rules:\n  - {name: a, to: x}\nrules: []\n", 3, ""),
        ("rules:\n  - just text\n", 2, "rule ?"),
    ],
)
def test_a_wrong_rule_is_named_with_file_and_line(tmp_path, text, line, key):
    path = tmp_path / "routes.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as refused:
        load_rules(path)
    assert (refused.value.file, refused.value.line, refused.value.key) == (str(path), line, key)


def test_rules_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        load_rules(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"rules: \xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_rules(tmp_path / "latin.yaml")


def test_a_rule_knows_its_line():
    assert [rule.line for rule in parse_rules("rules:\n  - {name: a, to: x}\n\n  - {name: b, to: y}\n", "f")] == [2, 4]


def problems(*rules: Rule) -> list[str]:
    routes = Routes(rules, shipped_registry(), date(2025, 8, 15))
    return [finding.problem for finding in check(routes, {"portal"}, EVENT_TYPES) if finding.error]


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ([Rule(name="a", to="nobody")], "recipient nobody is not configured"),
        ([Rule(name="a", to="addressee:chef")], "no agency is served in the role chef"),
        ([Rule(name="a", match=Match(type="lnad.*"), to="portal")], "type lnad.* fits no known event"),
        ([Rule(name="a", to="portal", stop=True), Rule(name="b", to="portal")], "is never reached: a takes everything"),
    ],
)
def test_what_is_wrong_in_a_table_is_seen_without_an_event(rules, problem):
    assert problems(*rules) == [problem]


def test_the_shipped_rules_have_no_error_and_name_every_recipient_they_need():
    assert problems(*shipped_rules()) == []


def test_a_recipient_that_gets_nothing_is_noticed():
    routes = Routes([Rule(name="a", to="portal")], Registry("v", [], [], []), date(2025, 8, 15))
    findings = check(routes, {"portal", "idle"}, EVENT_TYPES)
    assert [(f.problem, f.error) for f in findings] == [("recipient idle gets nothing", False)]
