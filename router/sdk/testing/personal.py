"""Which values of a record are personal, found by the names of their fields at any depth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

PERSONAL: Final = frozenset(
    {"name", "identity_number", "tax_code", "address", "asset_address", "phone", "email", "payer", "officer"}
)
SHORTEST: Final = 6  # characters; shorter texts stand in others by chance


def personal_texts(value: Any, *, named: str = "") -> Iterator[str]:
    """The personal texts in a decoded record."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from personal_texts(item, named=str(name))
    elif isinstance(value, str):
        if named in PERSONAL and len(value) >= SHORTEST:
            yield value
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for item in value:
            yield from personal_texts(item, named=named)
