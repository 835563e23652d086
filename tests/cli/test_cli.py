"""The command line as operators and service owners use it: on a real embedded installation."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from uuid import UUID

import pytest
from typer.testing import CliRunner

from router.cli.main import app
from router.demo.run import Choices, run_demo

LGSP = [sys.executable, "-c", "from router.cli.main import main; main()"]


def lgsp(folder: Path, *words: str, code: int = 0) -> str:
    """Run a command in ``folder``; its standard output, and standard error when it fails."""
    with chdir(folder):
        done = CliRunner().invoke(app, words, env={"LGSP_DATA": str(folder), "COLUMNS": "200"})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stdout + done.stderr


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a small demo left behind."""
    import asyncio

    folder = tmp_path_factory.mktemp("played")
    assert asyncio.run(run_demo(Choices(dossiers=8, documents=1, keep=folder, as_json=True))) == 0
    return folder


def test_status_counts_by_recipient(played: Path) -> None:
    found = json.loads(lgsp(played, "status", "--json"))
    assert {row["recipient"] for row in found["recipients"]} >= {"portal", "tax-h39", "router"}
    assert all(row["waiting"] == row["dead"] == 0 for row in found["recipients"])


def test_a_lane_shows_a_dossiers_deliveries_in_order(played: Path) -> None:
    rows = json.loads(lgsp(played, "lane", "show", "land-h39", "H39.25.01-250602-0007", "--json"))
    assert rows[0]["type"] == "land.file_submitted"
    assert rows[0]["attempts"] == 2
    assert {row["state"] for row in rows} <= {"delivered", "duplicate"}


def test_a_delivery_shows_both_bodies_its_order_and_no_personal_data(played: Path) -> None:
    name = json.loads(lgsp(played, "lane", "show", "land-h39", "H39.25.01-250602-0007", "--json"))[0]["id"]
    shown = lgsp(played, "dead", "show", name, "--json")
    assert len(json.loads(shown)["bodies"]) == 2
    assert "demo-operator" in shown
    for personal in ("080100000007", "0900000007", "congdan7@example.vn"):
        assert personal not in shown


def test_the_full_view_needs_a_reason_and_is_audited(played: Path) -> None:
    name = json.loads(lgsp(played, "lane", "show", "land-h39", "H39.25.01-250602-0007", "--json"))[0]["id"]
    assert "--reason" in lgsp(played, "dead", "show", name, "--full", code=1)
    full = lgsp(played, "dead", "show", name, "--full", "--reason", "khiếu nại", "--json")
    assert "080100000007" in full


def test_an_order_without_a_running_process_is_applied_by_the_command(played: Path) -> None:
    assert lgsp(played, "lane", "show", "router", "TB-none", "--json", code=1).strip() == "[]"
    assert "is stopped" in lgsp(played, "recipient", "stop", "tax-h39", "--reason", "bảo trì")
    listed = json.loads(lgsp(played, "recipient", "list", "--json"))
    assert next(row for row in listed if row["recipient"] == "tax-h39")["status"] == "stopped"
    assert "applied here" in lgsp(played, "recipient", "resume", "tax-h39", "--reason", "xong")


@pytest.mark.parametrize("word", ["replay", "skip", "discard", "expire", "restore"])
def test_an_unknown_delivery_is_refused_with_exit_1(played: Path, word: str) -> None:
    assert "refused" in lgsp(played, word, "tax-h39/0/99999", "--reason", "thử", code=1)


def test_doctor_finds_a_sound_installation_sound(played: Path) -> None:
    findings = json.loads(lgsp(played, "doctor", "--json"))
    assert {finding["part"] for finding in findings} >= {"bus", "ledger", "routes"}
    assert not [finding for finding in findings if finding["verdict"] == "wrong"]


def test_a_backup_can_be_restored_into_an_empty_directory(played: Path, tmp_path: Path) -> None:
    target, fresh = tmp_path / "copy", tmp_path / "fresh"
    fresh.mkdir()
    lgsp(played, "backup", str(target))
    lgsp(fresh, "restore-backup", str(target))
    assert json.loads(lgsp(fresh, "status", "--json")) == json.loads(lgsp(played, "status", "--json"))
    assert "already" in lgsp(fresh, "restore-backup", str(target), code=2)


def test_routes_explain_prints_which_rule_fires(tmp_path: Path) -> None:
    words = ("routes", "explain", "tax.notice_issued", "--source", "tax-h39", "--addressed-to", "H53", "--json")
    found = json.loads(lgsp(tmp_path, *words))
    assert found["recipients"] == ["one-stop-h53", "land-h39"]
    assert [rule["rule"] for rule in found["rules"] if rule["fires"]] == ["tax notices"]


def test_a_wrong_configuration_stops_with_file_key_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "lgsp.toml").write_text('[recipients.Tax]\nconnector = "tax"\n', "utf-8")
    said = lgsp(tmp_path, "status", code=2)
    assert "lgsp.toml" in said
    assert "recipients" in said
    assert "Traceback" not in said


def test_the_service_starts_answers_and_stops_by_a_signal(tmp_path: Path) -> None:
    environment = {**os.environ, "LGSP_DATA": str(tmp_path), "LGSP_HTTP__PORT": "0"}
    with subprocess.Popen([*LGSP, "run"], stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as service:
        assert service.stderr is not None
        ready = json.loads(service.stderr.readline())
        assert ready["event"] == "ready"
        second = subprocess.run(
            [*LGSP, "run"], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
        )
        assert second.returncode == 2
        assert str(service.pid) in second.stderr
        import urllib.request

        with urllib.request.urlopen(ready["url"] + "/healthz/ready") as answer:
            assert json.load(answer) == {"ready": True}
        with urllib.request.urlopen(ready["url"] + "/metrics") as answer:
            told = answer.read()
            assert b"lgsp_routed_total" in told
            assert b'lgsp_lag{recipient="router"} 0.0' in told
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=20) == 0
        last = [json.loads(line)["event"] for line in service.stderr]
        assert last[-2:] == ["stopping", "stopped"]
        assert not list(tmp_path.glob("*.db-wal"))


def test_the_demos_dossiers_ran_by_their_definition_and_are_judged_the_same_again(played: Path) -> None:
    histories = lgsp(played, "procedures", "replay-histories", "--ledger")
    assert histories.startswith("9 histories, nothing is judged otherwise")
    listed = json.loads(lgsp(played, "procedures", "list", "--json"))
    assert {"land_transfer", "official_document"} <= {row["procedure"] for row in listed}


def test_a_definition_is_linted_shown_and_drawn(tmp_path: Path) -> None:
    assert json.loads(lgsp(tmp_path, "procedures", "lint", "--json"))[0]["fault"] is False
    assert "Cơ quan thuế" in lgsp(tmp_path, "procedures", "show", "land_transfer")
    lgsp(tmp_path, "procedures", "draw", "land_transfer", "--output", "drawn.svg")
    assert (tmp_path / "drawn.svg").read_text("utf-8").startswith("<svg")
    broken = tmp_path / "broken.yaml"
    broken.write_text("procedure: broken\nversion: 0\n", "utf-8")
    wrong = json.loads(lgsp(tmp_path, "procedures", "lint", "--json", str(broken), code=1))
    assert {(row["line"], row["fault"]) for row in wrong} == {(1, True), (2, True)}
    lgsp(tmp_path, "procedures", "show", "land_transfer", "--lang", "fr", code=2)


def test_a_definition_is_tried_on_the_events_of_the_docs(tmp_path: Path) -> None:
    examples = Path(__file__).parents[2] / "docs" / "examples"
    files = [str(examples / name) for name in ("tree_felling.yaml", "tree_felling_events.yaml")]
    rows = json.loads(lgsp(tmp_path, "procedures", "try", *files, "--json"))
    assert [row["nodes"] for row in rows] == ["reception", "opinion", "decision", "decision", "handover", "● returned"]
    assert rows[0]["due"] == "2025-08-13T09:00:00+07:00"
    (tmp_path / "odd.yaml").write_text("- {event: dossier.accepted, status: 11}\n", "utf-8")
    lgsp(tmp_path, "procedures", "try", files[0], str(tmp_path / "odd.yaml"), code=2)
    told = json.loads(lgsp(tmp_path, "procedures", "events", "dossier.component_changed", "--json"))
    assert {"component", "state", "number"} <= {row["fact"] for row in told}


def test_a_dossiers_timeline_and_the_report_of_its_day(played: Path) -> None:
    rows = json.loads(lgsp(played, "report", "--period", "2025", "--by", "procedure", "--json"))
    assert rows[-1]["received"] == 8
    assert (rows[-1]["early"], rows[-1]["on_time"], rows[-1]["overdue"]) == (6, 1, 1)
    assert "<svg" in lgsp(played, "report", "--period", "2025", "--format", "html")
    assert lgsp(played, "report", "--period", "2025", "--format", "csv").startswith("group,name,received")
    named = {row["group"]: row["name"] for row in rows}
    assert named["1.012783"] == "Chuyển quyền sử dụng đất có thuế"
    by_agency = json.loads(lgsp(played, "report", "--period", "2025", "--by", "agency", "--json"))
    assert {row["group"]: row["name"] for row in by_agency}["H39.25.01"] == "UBND thị trấn Bến Lức"
    assert json.loads(lgsp(played, "deadlines", "--json")) == []
    code = json.loads(lgsp(played, "dossier", "show", "H39.25.01-250602-0001", "--json"))
    assert (code["ended"], code["procedure"]) == ("returned", "land_transfer/1 1.012783")
    assert not code["integrity_warning"]
    kinds = {"event", "payment", "due date", "pause", "delivery", "attempt", "receipt"}
    assert kinds <= {line["what"] for line in code["timeline"]}
    for number in (code["known_as"][1].split()[1], f"TB-{code['code']}-1", str(UUID(code["keys"][0]))):
        assert json.loads(lgsp(played, "dossier", "show", number, "--json"))["timeline"] == code["timeline"]
    repaired = lgsp(played, "dossier", "show", "H39.25.01-250602-0007")
    assert "demo-operator" in repaired
    assert "bổ sung thửa đất" in repaired
    assert "nothing is known" in lgsp(played, "dossier", "show", "H39-0", code=1)
