"""Settings are refused at the door, by file and key, and never by quoting a secret."""

from pathlib import Path

import pytest

from router.errors import ConfigError
from router.settings import load_settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    monkeypatch.delenv("LGSP_DATA", raising=False)


def written(path: Path, text: str) -> Path:
    file = path / "lgsp.toml"
    file.write_text(text, "utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[bus]\npartitions = 0", "bus.partitions"),
        ("[bus]\nurl = 'amqp://x'", "bus.url"),
        ("[bus]\npartition = 3", "bus.partition"),
        ("[ledger]\nurl = 'mysql://x'", "ledger.url"),
        ("[ledger]\nlease_seconds = 1", "ledger.lease_seconds"),
        ("[http]\nport = 70000", "http.port"),
        ("roles = ['cook']", "roles.0"),
        ("[recipients.tax]\nrate = -1\nconnector = 'tax'", "recipients.tax.rate"),
        ("[recipients.tax]", "recipients.tax.connector"),
        ("[recipients.TAX]\nconnector = 'tax'", "recipients.TAX"),
        ("unknown = 1", "unknown"),
    ],
)
def test_a_wrong_value_is_named_by_file_and_key(tmp_path, text, key):
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        load_settings(file)
    assert refused.value.file == str(file)
    assert refused.value.key.startswith(key)


@pytest.mark.parametrize("text", ["data = ", "a = 1\na = 2"])
def test_a_file_that_is_not_toml_is_named(tmp_path, text):
    with pytest.raises(ConfigError, match=r"lgsp\.toml.*TOML in UTF-8"):
        load_settings(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load_settings(tmp_path / "none.toml")


@pytest.mark.parametrize("name", ["router", "procedures"])
def test_the_routers_own_names_are_not_given_to_recipients(tmp_path, name):
    with pytest.raises(ConfigError, match="the router's own"):
        load_settings(written(tmp_path, f"[recipients.{name}]\nconnector = 'tax'"))


def test_an_embedded_bus_goes_with_sqlite_only(tmp_path):
    with pytest.raises(ConfigError, match="either embedded with sqlite"):
        load_settings(written(tmp_path, "[ledger]\nurl = 'postgresql://lgsp@localhost/lgsp'"))


def test_a_secret_is_neither_in_an_error_nor_in_a_repr(tmp_path, monkeypatch):
    monkeypatch.setenv("LGSP_LEDGER__PASSWORD", "tuyệt-mật")
    assert "tuyệt-mật" not in repr(load_settings(None))
    with pytest.raises(ConfigError) as refused:
        load_settings(written(tmp_path, "[ledger]\nurl = 'mysql://u:tuyệt-mật@x'"))
    assert "tuyệt-mật" not in str(refused.value)


def test_the_environment_wins_over_the_file_key_by_key(tmp_path, monkeypatch):
    monkeypatch.setenv("LGSP_HTTP__PORT", "9001")
    settings = load_settings(written(tmp_path, "[http]\nport = 9000\nhost = '127.0.0.2'"))
    assert (settings.http.port, settings.http.host) == (9001, "127.0.0.2")


def test_the_data_directory_is_beside_the_file(tmp_path):
    settings = load_settings(written(tmp_path, "data = 'state'"))
    assert settings.data == tmp_path / "state"
    assert settings.ledger_url == f"sqlite:///{tmp_path}/state/ledger.db"
