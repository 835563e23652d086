"""The registry as the person who maintains it changes it: files out, a change, files in; embedded."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from router.cli.main import app
from router.clock import SystemClock
from router.ledger.engine import open_ledger
from router.ledger.tables import audit
from router.routing.registry_files import shipped_registry
from tests.ledger.harness import new_file

Lgsp = Callable[..., str]
REASON = ("--reason", "NQ 202/2025/QH15", "--who", "Lê Thị Hoa")


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a ledger and nothing in it, to be copied."""
    data = tmp_path_factory.mktemp("new") / "data"
    new_file(data)
    return data


@pytest.fixture
def lgsp(tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch) -> Lgsp:
    """Run a command on a new installation; what it prints, standard error included."""
    data = shutil.copytree(migrated, tmp_path / "data")
    monkeypatch.setenv("LGSP_DATA", str(data))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)

    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["agencies", *words])
        assert done.exit_code == code, done.output
        return done.output

    return run


@pytest.fixture
def folder(tmp_path: Path, lgsp: Lgsp) -> Path:
    """The registry in force, as files."""
    lgsp("export", str(tmp_path / "danh-muc"))
    return tmp_path / "danh-muc"


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_without_a_ledgers_registry_the_files_are_in_force(lgsp: Lgsp) -> None:
    rows = json.loads(lgsp("list", "--level", "province", "--at", "2025-06-30", "--json"))
    assert {row["id"]: row["codes"] for row in rows}["long-an"] == "H39, 000.00.00.H39"
    assert "long-an" not in lgsp("list", "--at", "2025-07-01")
    assert "No change" in lgsp("history", "long-an", code=1)


def test_a_resolution_is_explained_step_by_step(lgsp: Lgsp) -> None:
    said = lgsp("resolve", "H39.16", "--at", "2025-08-15")
    assert "1. H39.16: a code (qd20) of long-an-so-nnmt" in said
    assert "merged into tay-ninh-so-nnmt on 2025-07-01" in said
    found = json.loads(lgsp("resolve", "H39.16", "--at", "2025-08-15", "--json"))
    assert (found["result"], found["agency"], found["code_then"]) == ("active", "tay-ninh-so-nnmt", "H53.16")
    assert found["recipients"]["one_stop"] == "one-stop-h53"


@pytest.mark.parametrize(
    ("words", "result"),
    [
        (("H39.25", "--at", "2025-08-15"), "ambiguous_successor"),
        (("28.22.H17", "--at", "2025-08-15"), "unknown"),
        (("H53.101", "--at", "2025-06-30"), "unknown"),
    ],
)
def test_a_code_that_means_nobody_ends_with_1(lgsp: Lgsp, words: tuple[str, ...], result: str) -> None:
    assert json.loads(lgsp("resolve", *words, "--json", code=1))["result"] == result


def test_the_commune_tells_which_part_of_a_split_district_is_meant(lgsp: Lgsp) -> None:
    found = json.loads(lgsp("resolve", "H39.25", "--at", "2025-08-15", "--commune", "28003", "--json"))
    assert (found["agency"], found["via"]) == ("xa-luong-hoa", ["ben-luc"])


def test_a_first_import_puts_the_ledgers_registry_in_force(lgsp: Lgsp, folder: Path) -> None:
    dry = json.loads(lgsp("import", str(folder), *REASON, "--dry-run", "--json"))
    count = len(shipped_registry().agencies)
    assert (dry["applied"], len(dry["changes"])) == (False, count)
    assert "No change" in lgsp("history", "long-an", code=1)
    done = json.loads(lgsp("import", str(folder), *REASON, "--json"))
    assert (done["applied"], done["version"], done["alone"]) == (True, count, True)
    assert json.loads(lgsp("resolve", "H53", "--json"))["registry"] == str(count)
    assert "says the same already" in lgsp("import", str(folder), *REASON)


def test_a_change_is_shown_before_applied_afterwards_and_kept_with_who_and_why(
    lgsp: Lgsp, folder: Path, tmp_path: Path
) -> None:
    lgsp("import", str(folder), *REASON)
    change(folder / "agencies.csv", "UBND xã Lương Hòa", "UBND phường Lương Hòa")
    change(folder / "codes.csv", "H53.102,xa-luong-hoa,2025-07-01,", "H53.102,xa-luong-hoa,2025-07-01,2026-01-01")
    dry = lgsp("import", str(folder), "--reason", "NQ 99", "--dry-run")
    assert "UBND xã Lương Hòa → UBND phường Lương Hòa" in dry
    assert "codes: H53.102 (2025-07-01..) → H53.102 (2025-07-01..2026-01-01)" in dry
    assert "xã Lương Hòa" in lgsp("list", "--all")
    lgsp("import", str(folder), "--reason", "NQ 99", "--who", "Trần Văn Bình")
    rows = json.loads(lgsp("history", "H53.102", "--json"))
    assert [(row["change"], row["who"], row["why"]) for row in rows] == [
        ("added", "Lê Thị Hoa", "NQ 202/2025/QH15"),
        ("changed", "Trần Văn Bình", "NQ 99"),
    ]
    assert "UBND phường Lương Hòa" in rows[1]["differences"]
    assert asyncio.run(audited(tmp_path)) == [
        ("change_agencies", "Lê Thị Hoa", "NQ 202/2025/QH15"),
        ("change_agencies", "Trần Văn Bình", "NQ 99"),
    ]


def test_agencies_that_the_files_lack_are_removed_only_on_purpose(lgsp: Lgsp, folder: Path) -> None:
    lgsp("import", str(folder), *REASON)
    for name, row in (("agencies.csv", "dn-lang-son,"), ("codes.csv", "H37.DN.001,")):
        lines = (folder / name).read_text("utf-8").splitlines(keepends=True)
        (folder / name).write_text("".join(line for line in lines if not line.startswith(row)), "utf-8")
    assert "1 agencies are not in the files: dn-lang-son" in lgsp("import", str(folder), *REASON, code=1)
    assert "says the same already" in lgsp("import", str(folder), *REASON, "--part")
    assert "removed" in lgsp("import", str(folder), *REASON, "--remove")
    assert json.loads(lgsp("resolve", "H37.DN.001", "--json", code=1))["result"] == "unknown"
    rows = json.loads(lgsp("history", "dn-lang-son", "--json"))
    assert [row["change"] for row in rows] == ["added", "removed"]


def test_a_part_is_added_to_what_is_in_force(lgsp: Lgsp, tmp_path: Path) -> None:
    part = tmp_path / "phan"
    part.mkdir()
    (part / "agencies.csv").write_text(
        "id,name,level,parent,valid_from,valid_to,serves\nxa-moi,UBND xã Mới,commune,tay-ninh,2026-01-01,,\n", "utf-8"
    )
    (part / "codes.csv").write_text("code,agency,valid_from,valid_to\nH53.199,xa-moi,2026-01-01,\n", "utf-8")
    (part / "successions.csv").write_text(
        "agency,relation,successor,on,discriminator\nxa-moi,merged_into,hac-thanh,2027-01-01,\n", "utf-8"
    )
    lgsp("import", str(part), *REASON, "--part")
    assert json.loads(lgsp("resolve", "H53.199", "--at", "2026-02-01", "--json"))["agency"] == "xa-moi"
    assert json.loads(lgsp("resolve", "H53.199", "--at", "2027-02-01", "--json"))["agency"] == "hac-thanh"
    assert json.loads(lgsp("resolve", "H39", "--at", "2025-06-30", "--json"))["agency"] == "long-an"
    (part / "codes.csv").write_text("code,agency,valid_from,valid_to\nH53.101,xa-moi,2026-01-01,\n", "utf-8")
    assert "'H53.101' is a code of xa-ben-luc and of xa-moi" in lgsp("import", str(part), *REASON, "--part", code=2)


@pytest.mark.parametrize(
    ("file", "row", "said"),
    [
        ("agencies.csv", "x,,commune,,,,,,,,,\n", "agencies.csv: line 36, column name: is empty"),
        ("codes.csv", "H53,vpcp,,\n", "column code: 'H53' is a code of tay-ninh then (line"),
        ("successions.csv", "tay-ninh,renamed,long-an,2026-01-01,\n", "goes in a circle: "),
    ],
)
def test_a_wrong_file_changes_nothing_and_is_named_with_line_and_column(
    lgsp: Lgsp, folder: Path, file: str, row: str, said: str
) -> None:
    with (folder / file).open("a", encoding="utf-8") as opened:
        opened.write(row)
    assert said in lgsp("import", str(folder), *REASON, code=2)
    assert "No change" in lgsp("history", "tay-ninh", code=1)


def test_an_export_replaces_nothing_unless_told_to(lgsp: Lgsp, folder: Path) -> None:
    assert "is there already" in lgsp("export", str(folder), code=1)
    assert "registry" in lgsp("export", str(folder), "--force")


@pytest.mark.parametrize("word", ["list", "resolve", "history", "export", "import"])
def test_every_command_has_help_with_an_example(lgsp: Lgsp, word: str) -> None:
    assert f"Example: lgsp agencies {word}" in lgsp(word, "--help")


async def audited(folder: Path) -> list[tuple[str, str, str]]:
    ledger = open_ledger(f"sqlite:///{folder / 'data' / 'ledger.db'}", SystemClock())
    await ledger.open()
    rows = await ledger.read(lambda conn: conn.execute(audit.select().order_by(audit.c.id)).all())
    await ledger.close()
    return [(row.verb, row.who, row.why) for row in rows]
