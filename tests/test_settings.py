"""Settings are refused at the door, by file and key, and never by quoting a secret."""

from pathlib import Path

import pytest

from router.configuration import load_settings
from router.errors import ConfigError


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
        ("[identity]\norgans = ['H39.30', 'h39']", "identity.organs.1"),
        ("[identity]\norgans = ['000.30.00.H39 ']", "identity.organs.0"),
        ("[identity]\norgans = 'H39'", "identity.organs"),
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


def test_recognition_lasts_at_least_as_long_as_the_bus_keeps_events(tmp_path):
    with pytest.raises(ConfigError, match=r"ledger\.recognition_days.*bus\.retention_days"):
        load_settings(written(tmp_path, "[bus]\nretention_days = 120"))
    text = "[bus]\nretention_days = 120\n[ledger]\nrecognition_days = 120"
    assert load_settings(written(tmp_path, text)).ledger.recognition_days == 120


def test_a_secret_is_neither_in_an_error_nor_in_a_repr(tmp_path, monkeypatch):
    monkeypatch.setenv("LGSP_LEDGER__PASSWORD", "tuyệt-mật")
    assert "tuyệt-mật" not in repr(load_settings(None))
    with pytest.raises(ConfigError) as refused:
        load_settings(written(tmp_path, "[ledger]\nurl = 'mysql://u:tuyệt-mật@x'"))
    assert "tuyệt-mật" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[bus.kafka]\nsecurity_protocol = 'SASL_SSL'\nsasl_username = 'lgsp'", "bus.kafka.sasl_password: is missing"),
        (
            "[bus.kafka]\nsecurity_protocol = 'SSL'\ncert_file = 'c.pem'",
            "bus.kafka.key_file: cert_file is given",
        ),
        (
            "[bus.kafka]\nsecurity_protocol = 'SSL'\nca_file = '/nope.pem'",
            "bus.kafka.ca_file: /nope.pem cannot be",
        ),
        ("[bus.kafka]\nca_file = 'x.pem'", "PLAINTEXT uses no certificates"),
        ("[ledger]\nurl = 'postgresql://lgsp:mật@db/lgsp'", "ledger.url: holds a password (expected it in"),
        ("[ledger]\nurl = 'postgresql://lgsp@db/lgsp?password=x'", "ledger.url: holds a password"),
        ("[bus]\nurl = 'kafka://u:mật@k:9092'", "expected embedded, or kafka://host:port"),
        ("[identity]\nkey = ''", "identity.key: empty"),
        ("[identity]\nkey = 'ngắn'", "identity.key: shorter than 8 characters"),
        ("[identity]\nkey = 'change-me'", "identity.key: still the secret of the example"),
        ("[ledger]\npassword = 'a'\npassword_file = 'b'", "ledger.password: password and password_file are both given"),
        ("[ledger]\npassword_file = 'none'", "none cannot be read: No such file"),
        ("[http]\nprot = 1", "there is no such setting (expected port)"),
        ("recipient = 1", "there is no such setting (expected recipients)"),
        ("[recipients.tax]", "recipients.tax.connector: is missing (expected text in quotes)"),
        ("[recipients.TAX]\nconnector = 'tax'", "expected a-z, 0-9 and -, beginning with a letter"),
        ("data = 3", "data: has the wrong form (expected a path in quotes)"),
        ("roles = ['cook']", "expected 'ingress', 'router' or 'delivery'"),
        ("[http]\nport = 70000", "http.port: is too large (expected 65535 or less)"),
        ("[http]\nport = 'x'", "expected a whole number"),
    ],
)
def test_a_refusal_says_in_plain_words_what_would_do(tmp_path, text, said):
    with pytest.raises(ConfigError) as refused:
        load_settings(written(tmp_path, text))
    assert said in str(refused.value)
    assert "mật" not in str(refused.value)


@pytest.mark.parametrize("name", ["LGSP_HTP__PORT", "LGSP_LOGLEVEL", "LGSP_HTTP__PRT"])
def test_an_unknown_variable_is_refused_by_its_name(tmp_path, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=rf"^{name}: .*no such setting"):
        load_settings(written(tmp_path, ""))


def test_a_wrong_value_of_the_environment_names_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("LGSP_RECIPIENTS__TAX_H39__RATE", "-1")
    with pytest.raises(ConfigError, match=r"^LGSP_RECIPIENTS__TAX_H39__RATE: recipients\.tax-h39\.rate: is too small"):
        load_settings(written(tmp_path, "[recipients.tax-h39]\nconnector = 'tax'"))


@pytest.mark.parametrize("secret", ["0123456789", "1e5", "true", "null", "một bí mật"])
def test_a_recipients_secret_is_set_from_a_shell_and_stays_the_text_it_is(tmp_path, monkeypatch, secret):
    monkeypatch.setenv("LGSP_RECIPIENTS__TAX_H39__CONFIG__WEBHOOK_TOKEN", secret)
    settings = load_settings(written(tmp_path, "[recipients.tax-h39]\nconnector = 'tax'\nconfig = {agency = 'H39.90'}"))
    assert settings.recipients["tax-h39"].config == {"agency": "H39.90", "webhook_token": secret}


def test_every_secret_may_stand_in_a_file_beside_the_configuration(tmp_path):
    (tmp_path / "secret").write_text("một bí mật\n", "utf-8")
    settings = load_settings(written(tmp_path, "[ledger]\npassword_file = 'secret'"))
    assert settings.ledger.password.get_secret_value() == "một bí mật"


def test_paths_of_the_file_are_relative_to_it(tmp_path):
    text = "[routing]\nrules = 'r.yaml'\n[identity]\nkey_file = '/etc/k'\n"
    text += "[recipients.tax]\nconnector = 'tax'\n[recipients.tax.config.http]\nca_file = 'ca.pem'"
    settings = load_settings(written(tmp_path, text))
    assert settings.routing.rules == tmp_path / "r.yaml"
    assert str(settings.identity.key_file) == "/etc/k"
    assert settings.recipients["tax"].config["http"]["ca_file"] == str(tmp_path / "ca.pem")
    assert settings.data == tmp_path / "data"


def test_the_environment_wins_over_the_file_key_by_key(tmp_path, monkeypatch):
    monkeypatch.setenv("LGSP_HTTP__PORT", "9001")
    settings = load_settings(written(tmp_path, "[http]\nport = 9000\nhost = '127.0.0.2'"))
    assert (settings.http.port, settings.http.host) == (9001, "127.0.0.2")


def test_the_data_directory_is_beside_the_file(tmp_path):
    settings = load_settings(written(tmp_path, "data = 'state'"))
    assert settings.data == tmp_path / "state"
    assert settings.ledger_url == f"sqlite:///{tmp_path}/state/ledger.db"
