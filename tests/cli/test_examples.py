"""The example configurations, as an operator copies them."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from router.cli.main import app
from router.clock import SystemClock, SystemIds
from router.configuration import load_settings
from router.owner_key import owner_key
from router.procedures.calendar import load_calendar
from router.procedures.definitions_file import shipped_definitions
from router.routing.agencies import Active
from router.routing.registry_files import shipped_registry
from router.service import Service

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
LGSP = [sys.executable, "-c", "from router.cli.main import main; main()"]


def copied(name: str, folder: Path, *, filled: bool) -> Path:
    """An example in a folder of its own; ``filled`` with secrets and the paths of this machine."""
    text = (EXAMPLES / name).read_text("utf-8")
    if filled:
        text = text.replace('"change-me"', '"một bí mật của kiểm thử"').replace('ca_file = "/etc/lgsp/ca.pem"', "")
        text = text.replace("/etc/lgsp/", f"{folder}/").replace("/var/lib/lgsp", f"{folder}/data")
    (folder / name).write_text(text, "utf-8")
    return folder / name


def test_the_example_of_days_and_seats_names_agencies_and_roles_that_there_are() -> None:
    offices = load_calendar("tay-ninh", EXAMPLES / "days.yaml").offices
    known, today = shipped_registry(), date(2025, 7, 1)
    roles = {role for definition in shipped_definitions() for role in definition.roles}
    assert {role for _, role in offices.seats} <= roles
    for code in {code for code, _ in offices.seats} | set(offices.seats.values()):
        assert isinstance(known.resolve(code, today), Active), code


def lgsp(*words: str) -> Result:
    """A command, run in this process."""
    return CliRunner().invoke(app, words)


@pytest.mark.parametrize("word", ["run", "doctor"])
@pytest.mark.parametrize("name", ["embedded.toml", "distributed.toml"])
def test_an_example_with_its_placeholders_is_refused_by_key(tmp_path: Path, name: str, word: str) -> None:
    done = lgsp(word, "--config", str(copied(name, tmp_path, filled=False)))
    said = done.output
    assert done.exit_code in (1, 2)
    assert not isinstance(done.exception, Exception) or isinstance(done.exception, SystemExit)
    assert "cannot be used" in said or "still the secret of the example" in said
    assert not (tmp_path / "data" / "ledger.db").exists()


def test_the_embedded_example_starts_and_makes_what_it_needs_for_its_user_alone(tmp_path: Path) -> None:
    config = copied("embedded.toml", tmp_path, filled=True)
    environment = {**os.environ, "LGSP_HTTP__PORT": "0"}
    words = [*LGSP, "run", "--config", str(config)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment, cwd="/") as service:
        assert service.stderr is not None
        ready = json.loads(service.stderr.readline())
        assert (ready["event"], ready["recipients"]) == ("ready", 4)
        data = tmp_path / "data"
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [data, *data.iterdir()]}
        assert modes.pop("data") == 0o700
        assert set(modes.values()) == {0o600}
        assert {"owner.key", "ledger.db", "bus.db"} <= modes.keys()
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=20) == 0
    key = (data / "owner.key").read_bytes()
    assert len(key.strip()) == 64
    assert owner_key(load_settings(config)) == key.strip()
    done = lgsp("doctor", "--config", str(config), "--json")
    assert done.exit_code == 0, done.stdout
    assert lgsp("owner-key", "--config", str(config)).exit_code == 2
    assert (data / "owner.key").read_bytes() == key


def test_the_distributed_example_is_whole_once_its_key_is_made(tmp_path: Path) -> None:
    config = copied("distributed.toml", tmp_path, filled=True)
    made = lgsp("owner-key", "--config", str(config))
    assert made.exit_code == 0, made.stderr
    service = Service(load_settings(config), SystemClock(), SystemIds(), file=str(config))
    assert [recipient.id for recipient in service.recipients] == ["land-h39", "one-stop-h39", "portal", "tax-h39"]


def test_an_unreachable_broker_and_database_are_named_with_exit_3(tmp_path: Path) -> None:
    config = tmp_path / "lgsp.toml"
    lines = ["[bus]", 'url = "kafka://127.0.0.1:1"', "[ledger]", 'url = "postgresql://lgsp@127.0.0.1:1/lgsp"']
    config.write_text("\n".join(lines), "utf-8")
    for word, named in [("run", "Kafka at 127.0.0.1:1"), ("status", "PostgreSQL at 127.0.0.1:1")]:
        done = lgsp(word, "--config", str(config))
        assert (done.exit_code, named in done.stderr, "Traceback" in done.stderr) == (3, True, False), done.stderr
