"""Which values of a record are personal, found by the names of their fields at any depth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

PERSONAL: Final = frozenset(
    {"identity_number", "tax_code", "address", "asset_address", "phone", "email", "payer", "officer"}
)
#: Fields that hold people; only there a ``name`` is a person's and not an agency's, a fee's or a file's.
PEOPLE: Final = frozenset({"applicant", "users", "payer"})
SHORTEST: Final = 6  # characters; shorter texts stand in others by chance


def personal_texts(value: Any, *, within: str = "", named: str = "") -> Iterator[str]:
    """The personal texts in a decoded record."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from personal_texts(item, within=named, named=str(name))
    elif isinstance(value, str):
        personal = named in PERSONAL or (named == "name" and within in PEOPLE)
        if personal and len(value) >= SHORTEST:
            yield value
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for item in value:
            yield from personal_texts(item, within=within, named=named)
