"""Settings from the environment: which variable sets which key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

PREFIX: Final = "LGSP_"
BETWEEN: Final = "__"
#: Variables of the command line itself, and of the tests.
OTHERS: Final = frozenset({"LGSP_CONFIG", "LGSP_WHO"})
TESTS: Final = "LGSP_TEST_"


class Environment(EnvSettingsSource):
    """``LGSP_RECIPIENTS__TAX_H39__CONFIG__SYSTEM_KEY`` sets ``recipients.tax-h39.config.system_key``: a shell takes no
    dash in a name, and recipients' ids have no underscore.
    """

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Only what is written as JSON is read as JSON: a secret of digits stays the text it is."""
        return super().decode_complex_value(field_name, field, value) if str(value)[:1] in ("{", "[") else value

    def __call__(self) -> dict[str, Any]:
        """The values that are set."""
        values = super().__call__()
        recipients = values.get("recipients")
        if isinstance(recipients, Mapping):
            values["recipients"] = {name.replace("_", "-"): section for name, section in recipients.items()}
        return values


def variables() -> dict[str, str]:
    """The names of the variables that are set, by the key that each sets."""
    return {key_of(name): name for name in os.environ if is_setting(name)}


def key_of(name: str) -> str:
    """The key that a variable sets."""
    first, *rest = name[len(PREFIX) :].lower().split(BETWEEN)
    if first == "recipients" and rest:
        rest[0] = rest[0].replace("_", "-")
    return ".".join((first, *rest))


def is_setting(name: str) -> bool:
    """Whether a variable is meant to set a key."""
    return name.upper().startswith(PREFIX) and name not in OTHERS and not name.startswith(TESTS)
