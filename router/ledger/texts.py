"""Texts of partners as every database stores them: what cannot be stored is shown, not refused."""

from __future__ import annotations

import re
from typing import Final

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
SHOWN: Final = "\ufffd"


def storable(text: str) -> str:
    """The text with each NUL and lone surrogate as U+FFFD. A partner's JSON may hold both (``\\u0000``, ``\\ud800``);
    no UTF-8 carries the one, PostgreSQL takes no other.
    """
    return _UNSTORABLE.sub(SHOWN, text)
