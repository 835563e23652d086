"""Personal data out of sight: what a log line, a metric, a listing or a stored failure text may show.

Masked are citizen ids (CCCD, 12 digits: the last 3 stay), old ids (CMND, 9 digits), tax codes (MST, 10 digits with an
optional branch, or 13), phone numbers and e-mail addresses. Law 91/2025/QH15 on personal data asks for purpose
limitation; an operator sees the full text only on request, and that request is audited.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE: Final = re.compile(r"(?<![\w.])(?:\+84|84|0)(?:[ .-]?\d){8,9}(?![\d])")
_DIGITS: Final = re.compile(r"(?<![\d])(?:\d{13}|\d{12}|\d{10}(?:-\d{3})?|\d{9})(?![\d])")
#: Timestamps and counters of our own are written with separators, so a bare run of these lengths is a person's number.

#: Fields whose whole value is personal, whatever its form.
PERSONAL_FIELDS: Final = frozenset(
    {
        "name", "full_name", "applicant_name", "owner_name", "payer_name", "address", "identity_number", "tax_code",
        "phone", "email", "fax", "account_number", "date_of_birth", "birth_date",
    }
)  # fmt: skip


def mask(text: str) -> str:
    """The text with ids, tax codes, phone numbers and e-mail addresses masked."""
    if not text:
        return text
    text = _EMAIL.sub(lambda m: m.group()[0] + "***@***", text)
    text = _DIGITS.sub(lambda m: _keep_last(m.group()), text)
    return _PHONE.sub(lambda m: _keep_last(m.group()), text)


def mask_value(value: Any, field: str = "") -> Any:
    """A decoded payload with personal fields masked, at any depth; shape and order kept."""
    if isinstance(value, Mapping):
        return {key: mask_value(item, str(key)) for key, item in value.items()}
    if isinstance(value, str):
        return _initials(value) if _is_personal(field) else mask(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [mask_value(item, field) for item in value]
    return value


def _is_personal(field: str) -> bool:
    return field in PERSONAL_FIELDS or field.endswith(("_name", "_address", "_phone", "_email", "_identity_number"))


def _keep_last(digits: str) -> str:
    return "*" * (len(digits) - 3) + digits[-3:]


def _initials(text: str) -> str:
    return " ".join(word[0] + "***" for word in text.split()) if any(c.isalpha() for c in text) else "***"
