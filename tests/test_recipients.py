"""What an installation may set for a recipient: retry, limits, office hours and maintenance, validated at the door."""

from __future__ import annotations

from datetime import datetime

import pytest
from pydantic import ValidationError

from router.clock import SystemClock, SystemIds
from router.configuration import load_settings
from router.errors import ConfigError
from router.objects import FolderObjectStore
from router.recipients import adjusted, build_recipients
from router.sdk.dates import VIETNAM
from router.sdk.manifest import Manifest, Operation, Retry
from router.settings import RecipientSection, Settings

CONFIG = {
    "http": {"base_url": "http://127.0.0.1:9"},
    "system_id": "lgsp-h39",
    "system_key": "khóa của thuế",
    "webhook_token": "a token of this test",
    "agency": "H39.90",
}


def built(tmp_path, **section):
    settings = Settings(data=tmp_path, recipients={"tax-h39": {"connector": "tax", "config": CONFIG, **section}})
    objects = FolderObjectStore(tmp_path)
    return build_recipients(settings, SystemClock(), SystemIds(), objects, "lgsp.toml")[0]


def test_without_settings_the_manifest_holds(tmp_path):
    recipient = built(tmp_path)
    operation = recipient.manifest.operations[0]
    assert (
        recipient.manifest.retry_of(operation).budget == type(recipient.connector).manifest.retry_of(operation).budget
    )


def test_a_retry_policy_is_changed_key_by_key_for_all_operations_or_for_one(tmp_path):
    first = built(tmp_path).manifest.operations[0]
    recipient = built(tmp_path, retry={"budget": 21}, operations={first.name: {"retry": {"in_place": 4}, "timeout": 7}})
    policy = recipient.manifest.retry_of(recipient.manifest.operation_for(first.events[0]))
    assert (policy.budget, policy.in_place) == (21, 4)
    assert recipient.manifest.operation_for(first.events[0]).timeout == 7
    others = [operation for operation in recipient.manifest.operations if operation.name != first.name]
    assert all(recipient.manifest.retry_of(other).budget == 21 for other in others)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"webhook_token": ""}, "config.webhook_token: empty"),
        ({"webhook_token": "1234567"}, "config.webhook_token: shorter than 8"),
        ({"webhook_token": "change-me"}, "config.webhook_token: still the secret of the example"),
        ({"system_key": " "}, "config.system_key: empty"),
        ({"http": {"base_url": "ftp:/x y"}}, "config.http.base_url: has the wrong form (expected http(s)://host"),
        ({"http": {"base_url": "https://u:p@thue.example.vn"}}, "config.http.base_url: has the wrong form"),
        ({"http": {"base_url": "https://thue.example.vn", "ca_file": "/nope.pem"}}, "config.http.ca_file: /nope.pem"),
        ({"sytem_id": "x"}, "config.sytem_id: there is no such setting (expected system_id)"),
    ],
)
def test_a_connectors_own_settings_are_refused_by_key_and_form(tmp_path, config, said):
    with pytest.raises(ConfigError) as refused:
        built(tmp_path, config={**CONFIG, **config})
    assert said in str(refused.value)


def test_a_partners_secret_may_stand_in_a_file(tmp_path):
    (tmp_path / "token").write_text("a token of this test\n", "utf-8")
    config = {name: value for name, value in CONFIG.items() if name != "webhook_token"}
    made = built(tmp_path, config={**config, "webhook_token_file": str(tmp_path / "token")})
    assert made.connector.config.webhook_token.get_secret_value() == "a token of this test"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"retry": {"budget": 0}}, "recipients.tax-h39.retry.budget"),
        ({"retry": {"bugdet": 3}}, "recipients.tax-h39.retry.bugdet"),
        ({"operations": {"fly": {"timeout": 3}}}, "no operation 'fly'"),
        ({"hours": {"days": ["monday"]}}, "days"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(tmp_path, section, said):
    with pytest.raises(ConfigError, match=r"lgsp\.toml: recipients\.tax-h39") as refused:
        built(tmp_path, **section)
    assert said in str(refused.value)


PAYING = Manifest(
    name="paying", version="1", partner="Kho bạc", role="payment",
    operations=(
        Operation(
            name="pay", events=("payment.confirmed",), idempotency="natural_key", retry=Retry(maximal_age="none")
        ),
        Operation(name="tell", events=("dossier.accepted",), idempotency="natural_key"),
    ),
)  # fmt: skip


def paying(**section):
    return adjusted(PAYING, RecipientSection(connector="paying", **section), "lgsp.toml", "recipients.paying")


def test_what_is_set_for_all_operations_bounds_no_payment():
    pay, tell = paying(retry={"maximal_age": 60, "budget": 3, "in_place": 4}).operations
    assert (pay.retry.maximal_age, pay.retry.budget, pay.retry.in_place) == (None, 8, 4)
    assert (tell.retry.maximal_age, tell.retry.budget, tell.retry.in_place) == (60, 3, 4)
    assert paying(operations={"pay": {"retry": {"budget": "none"}}}).operations[0].retry.budget is None


def test_a_payment_that_would_expire_is_refused():
    with pytest.raises(ConfigError, match=r"recipients\.paying\.operations\.pay\.retry\.maximal_age.*never expire"):
        paying(operations={"pay": {"retry": {"maximal_age": 864_000}}})
    bounded = PAYING.operations[0].model_copy(update={"retry": None})
    with pytest.raises(ValidationError, match="pay carries payments, which never expire"):
        Manifest.model_validate({**PAYING.model_dump(), "operations": (bounded,)})


def test_office_hours_and_maintenance_close_a_recipient(tmp_path):
    start, end = datetime(2025, 9, 3, 9, tzinfo=VIETNAM), datetime(2025, 9, 3, 10, tzinfo=VIETNAM)
    recipient = built(
        tmp_path,
        hours={"ranges": [["07:30", "11:30"]]},
        maintenance=[{"start": start, "end": end, "why": "nâng cấp"}],
    )
    assert recipient.opening.shut(start).why == "nâng cấp"
    assert recipient.opening.shut(start.replace(hour=8)) is None
    assert recipient.opening.shut(start.replace(hour=12)).why == "office hours"


def test_office_hours_know_public_holidays_and_make_up_days(tmp_path):
    opening = built(
        tmp_path, hours={"days": ["mon", "tue", "wed", "thu", "fri"], "ranges": [["07:30", "17:00"]]}
    ).opening
    assert opening.shut(datetime(2025, 9, 1, 9, tzinfo=VIETNAM)).until == datetime(2025, 9, 3, 7, 30, tzinfo=VIETNAM)
    assert opening.shut(datetime(2025, 4, 26, 9, tzinfo=VIETNAM)) is None  # a Saturday worked for 2 May
    assert opening.shut(datetime(2025, 5, 3, 9, tzinfo=VIETNAM)) is not None


def test_a_maintenance_window_that_ends_before_it_starts_is_refused():
    window = {"start": "2025-09-03T10:00:00+07:00", "end": "2025-09-03T09:00:00+07:00", "why": "x"}
    with pytest.raises(ValidationError, match="end is not after start"):
        Settings(recipients={"tax-h39": {"connector": "tax", "maintenance": [window]}})


def test_all_of_it_can_stand_in_the_configuration_file(tmp_path):
    file = tmp_path / "lgsp.toml"
    file.write_text("""
[recipients.tax-h39]
connector = "tax"
retry = { budget = 12, longest_delay = 900 }
hours = { days = ["mon", "tue", "wed", "thu", "fri"], ranges = [["07:30", "17:00"]] }

[recipients.tax-h39.operations.send_pctt]
timeout = 30

[[recipients.tax-h39.maintenance]]
start = 2025-09-03T20:00:00+07:00
end = 2025-09-03T23:00:00+07:00
why = "bảo trì"
""")
    section = load_settings(file).recipients["tax-h39"]
    assert section.operations["send_pctt"].timeout == 30
    assert section.maintenance[0].why == "bảo trì"
