"""Personal data out of sight: what a log line, a metric, a listing or a stored failure text may show.

Masked are citizen ids (CCCD, 12 digits: the last 3 stay), old ids (CMND, 9 digits), tax codes (MST, 10 digits with an
optional branch, or 13), numbers of accounts (14 digits and more), phone numbers and e-mail addresses. Codes, ids, times
and amounts that operators need stay readable. Law 91/2025/QH15 on personal data asks for purpose limitation; an
operator sees the full text only on request, and that request is audited.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
#: UUIDs and hashes, which may hold long runs of digits, and times as partners write them (yyyyMMddHHmmss).
_KEPT: Final = re.compile(
    r"(?<![\w-])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}|(?=\d*[a-f])[0-9a-f]{32}"
    r"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d[0-5]\d(?:\d{3})?)(?![\w-])"
)
#: Digits in threes. Twelve begin with 0; nine may be an amount of money: with dots, or before a currency.
_TWELVE: Final = re.compile(r"(?<![\d.,])0\d\d([ .-])\d{3}\1\d{3}\1\d{3}(?!\d)")
_NINE: Final = re.compile(
    r"(?<![\d.,])(?:0\d\d\.\d{3}\.\d{3}|\d{3}([ -])\d{3}\1\d{3})(?!\d|[ .,-]\d{3}(?!\d))(?!\s*(?:đ|₫|vnd|vnđ)\b)",
    re.IGNORECASE,
)
_PHONE: Final = re.compile(r"(?<![\w.])\(?(?:\+84|84|0)(?:[ .()-]{0,2}\d){8,10}(?!\d)")
_DIGITS: Final = re.compile(r"(?<!\d)(?:\d{12,19}|\d{10}(?:-\d{3})?|\d{9})(?!\d)")
_DIGIT: Final = re.compile(r"\d")
#: Timestamps and counters of our own are written with separators, so a bare run of these lengths is a person's number.

#: Fields whose whole value is personal, whatever its form; lower case, without underscores. The Vietnamese ones are
#: the partners' names of the same.
PERSONAL_FIELDS: Final = frozenset(
    {
        "name", "fullname", "applicantname", "ownername", "payername", "address", "identitynumber", "taxcode", "phone",
        "email", "fax", "accountnumber", "dateofbirth", "birthdate",
        "officer", "fromofficer", "toofficer", "receivedby", "requestedby", "confirmedby", "incharge", "staff",
        "signer", "payer",
        "hoten", "hotenchu", "hovaten", "tenchuhoso", "tennguoinop", "chuhoso", "sochungminh", "socmnd", "socmt",
        "socccd", "cmnd", "cccd", "sodinhdanh", "sogiayto", "sogiaytochuhoso", "masothue", "mst", "dienthoai",
        "sodienthoai", "ngaysinh", "sotaikhoan",
    }
)  # fmt: skip
_ENDINGS: Final = ("_name", "_address", "_phone", "_email", "_identity_number")
_BEGINNINGS: Final = ("diachi", "nguoi")


def mask(text: str) -> str:
    """The text with ids, tax codes, account and phone numbers and e-mail addresses masked."""
    if not text:
        return text
    text = _EMAIL.sub(lambda m: m.group()[0] + "***@***", text)
    made, start = [], 0
    for kept in _KEPT.finditer(text):
        made += [_numbers(text[start : kept.start()]), kept.group()]
        start = kept.end()
    return "".join([*made, _numbers(text[start:])])


def mask_value(value: Any, field: str = "") -> Any:
    """A decoded payload with personal fields masked, at any depth; shape and order kept. ``field`` is the name of the
    field that holds the value.
    """
    if isinstance(value, Mapping):
        return {key: mask_value(item, str(key)) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return [mask_value(item, field) for item in value]
    if value is None or not _is_personal(field):
        return mask(value) if isinstance(value, str) else value
    return _initials(value) if isinstance(value, str) else "***"


def _is_personal(field: str) -> bool:
    plain = field.replace("_", "").lower()
    return plain in PERSONAL_FIELDS or plain.startswith(_BEGINNINGS) or field.endswith(_ENDINGS)


def _numbers(text: str) -> str:
    for pattern in (_DIGITS, _TWELVE, _PHONE, _NINE):
        text = pattern.sub(lambda m: _keep_last(m.group()), text)
    return text


def _keep_last(number: str) -> str:
    """A number with all digits but the last three hidden."""
    return _DIGIT.sub("*", number[:-3]) + number[-3:]


def _initials(text: str) -> str:
    return " ".join(word[0] + "***" for word in text.split()) if any(c.isalpha() for c in text) else "***"
