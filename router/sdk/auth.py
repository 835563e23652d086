"""Who may call an inbound route: a token in a header, basic credentials, or a signature with a time and a nonce."""

from __future__ import annotations

from base64 import b64decode
from collections import OrderedDict
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Final

from pydantic import SecretStr

from router.errors import Unauthenticated
from router.ports import Clock
from router.sdk.inbound import Request

WINDOW: Final = 300  # seconds a signature's time may differ
NONCES: Final = 100_000
LONGEST: Final = 128  # characters of a nonce

TIMESTAMP, NONCE, SIGNATURE = "x-lgsp-timestamp", "x-lgsp-nonce", "x-lgsp-signature"


def refused() -> Unauthenticated:
    """The refusal; it never says which part was wrong."""
    return Unauthenticated("Thông tin xác thực không hợp lệ", "the credentials are missing or wrong")


class Token:
    """A fixed token in a header, ``Authorization: Bearer …`` by default."""

    def __init__(self, secret: SecretStr, header: str = "authorization", prefix: str = "Bearer ") -> None:
        self._expected = (prefix + secret.get_secret_value()).encode()
        self._header = header.lower()

    def __call__(self, request: Request) -> None:
        """Raises ``Unauthenticated``."""
        if not compare_digest(request.headers.get(self._header, "").encode(), self._expected):
            raise refused()


class Basic:
    """HTTP basic credentials."""

    def __init__(self, user: str, password: SecretStr) -> None:
        self._expected = f"{user}:{password.get_secret_value()}".encode()

    def __call__(self, request: Request) -> None:
        """Raises ``Unauthenticated``."""
        given = request.headers.get("authorization", "").removeprefix("Basic ")
        try:
            plain = b64decode(given, validate=True)
        except ValueError:
            raise refused() from None
        if not compare_digest(plain, self._expected):
            raise refused()


class Signature:
    """HMAC-SHA-256 over ``timestamp \\n nonce \\n body``, hexadecimal; each nonce once, times within five minutes."""

    def __init__(self, secret: SecretStr, clock: Clock) -> None:
        self._key, self._clock = secret.get_secret_value().encode(), clock
        self._nonces: OrderedDict[str, int] = OrderedDict()

    def __call__(self, request: Request) -> None:
        """Raises ``Unauthenticated``."""
        timestamp, nonce = request.headers.get(TIMESTAMP, ""), request.headers.get(NONCE, "")
        expected = sign(self._key, timestamp, nonce, request.body)
        if not compare_digest(request.headers.get(SIGNATURE, "").encode(), expected.encode()):
            raise refused()
        now = self._clock.now() // 1_000_000
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16 and 0 < len(nonce) <= LONGEST):
            raise refused()
        if abs(int(timestamp) - now) > WINDOW or nonce in self._nonces:
            raise refused()
        self._nonces[nonce] = now
        while self._nonces and (len(self._nonces) > NONCES or now - next(iter(self._nonces.values())) > 2 * WINDOW):
            self._nonces.popitem(last=False)


def sign(key: bytes, timestamp: str, nonce: str, body: bytes) -> str:
    """The signature of a request."""
    return hmac_digest(key, f"{timestamp}\n{nonce}\n".encode() + body, sha256).hex()
