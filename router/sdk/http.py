"""The HTTP client of connectors: says whether a failed request had left, which decides between *transient* and
*uncertain*, and reads answers whatever charset they claim.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Final, Self
from unicodedata import normalize

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, model_validator

from router.masking import mask
from router.sdk.configured import tls_context
from router.sdk.manifest import Manifest
from router.sdk.outcomes import (
    Failure,
    Invalid,
    Outcome,
    Receipt,
    Rejected,
    Throttled,
    Transient,
    Unauthorised,
    Uncertain,
)

LONGEST_ANSWER: Final = 16 * 1_048_576
CHARSETS: Final = ("utf-8", "windows-1258")
#: A proxy or a partner under redeployment has nobody at that address: not processed, and all dossiers meet the same.
NOT_SERVED: Final = frozenset({404, 405, 410, 421, 425})
#: The partner says that the message itself is wrong. Any other 4xx says nothing of the message: unclassified.
MALFORMED: Final = frozenset({400, 413, 422})
_REFUSAL: Final = re.compile("ALERT.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)")


class HttpConfig(BaseModel):
    """Where a partner is and how to get there. Files are PEM, and are read when the settings are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: Annotated[
        str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$", description="http(s)://host[:port][/path]")
    ]
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    connections: int = 32
    connect_timeout: float = 10.0

    @model_validator(mode="after")
    def _files_can_be_used(self) -> Self:
        if self.ca_file or self.cert_file or self.key_file:
            tls_context(self.ca_file, self.cert_file, self.key_file)
        return self


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Header names are lower case; ``retry-after`` is in seconds, whichever form the partner used."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def text(self) -> str:
        """The body as text: UTF-8 first, then the declared charset, then the Vietnamese code page.

        Composed (NFC): the code page writes a tone apart from its letter, and texts are compared with the manifest's.
        """
        declared = self.headers.get("content-type", "").rpartition("charset=")[2].strip('"; ').lower()
        for charset in (CHARSETS[0], declared, CHARSETS[1]):
            try:
                return normalize("NFC", self.body.decode(charset))
            except (UnicodeDecodeError, LookupError):
                continue
        return normalize("NFC", self.body.decode("utf-8", "replace"))

    def json(self) -> Any:
        """The body as JSON. Raises ``Uncertain``: what cannot be read may have been done."""
        try:
            return json.loads(self.text().removeprefix("\ufeff"))
        except (ValueError, RecursionError):
            raise self._unreadable("no JSON") from None

    def object(self) -> Mapping[str, Any]:
        """The body as a JSON object. Raises ``Uncertain``."""
        value = self.json()
        if not isinstance(value, Mapping):
            raise self._unreadable("no JSON object")
        return value

    def _unreadable(self, found: str) -> Uncertain:
        return Uncertain("unreadable_answer", f"status {self.status}, {len(self.body)} bytes that are {found}")


class UnclassifiedAnswer(Exception):
    """A partner's answer that no row of the error map fits: tried a few times, then a dead letter."""

    def __init__(self, code: str, message: str) -> None:
        text = mask(message)
        super().__init__(f"code {code}: {text}" if text else f"code {code}")
        self.code, self.message = code, text


class Http:
    """One session per connector instance. No retries here: those are the dispatcher's."""

    def __init__(self, config: HttpConfig) -> None:
        self._config = config
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the session; nothing is connected yet."""
        connector = aiohttp.TCPConnector(limit=self._config.connections, ssl=_tls(self._config))
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_left)
        self._session = aiohttp.ClientSession(
            connector=connector,
            trace_configs=[trace],
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._config.connect_timeout),
        )

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        json_body: Any = None,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """One request. Raises ``Transient`` when it surely had not left, ``Unauthorised`` for a refused certificate,
        ``Uncertain`` for everything that happens later.
        """
        if self._session is None:
            raise Transient("not_open", "the connector is not open")
        sent: dict[str, bool] = {}
        content = json.dumps(json_body, ensure_ascii=False).encode() if json_body is not None else body
        kind = {"Content-Type": "application/json; charset=utf-8"} if json_body is not None else {}
        try:
            async with self._session.request(
                method,
                self._config.base_url.rstrip("/") + path,
                data=form if form is not None else content,
                params=query,
                headers={**kind, **(headers or {})},
                timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=self._config.connect_timeout),
                trace_request_ctx=sent,
                allow_redirects=False,
            ) as response:
                read = await response.content.read(LONGEST_ANSWER + 1)
                while not response.content.at_eof() and len(read) <= LONGEST_ANSWER:
                    read += await response.content.read(LONGEST_ANSWER + 1 - len(read))
                if len(read) > LONGEST_ANSWER:
                    raise Uncertain("answer_too_long", f"above {LONGEST_ANSWER} bytes")
                return Answer(response.status, _headers(response), read)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _broken(error, left=sent.get("left", False)) from None


def classify(
    manifest: Manifest, operation: str, *, status: int = 200, code: str = "", message: str = "", retry_after: str = ""
) -> Failure | Outcome | None:
    """What an answer means: None for plain success, ``DUPLICATE`` for *has it already*, else the failure to raise.

    The manifest's rows come first, then what HTTP itself says. A code that nothing fits raises ``UnclassifiedAnswer``.
    """
    row = manifest.error(operation, code=code, http=status, message=message)
    if row is not None:
        if row.outcome in (Outcome.DELIVERED, Outcome.DUPLICATE):
            return row.outcome
        outcome, seconds = row.outcome, _seconds(retry_after)
        if outcome is Outcome.TRANSIENT and seconds is not None:
            outcome = Outcome.THROTTLED  # not processed, and it says when to come again
        return failure_of(
            outcome, row.reason, message or row.en, code=code or str(status),
            seconds=row.seconds if seconds is None else seconds,
        )  # fmt: skip
    by_status = _by_status(status, message, retry_after)
    if by_status is not None or status >= 300:
        return by_status
    if code:
        raise UnclassifiedAnswer(code, message)
    return None


def receipt_of(
    manifest: Manifest, operation: str, answer: Answer, *, code: str, message: str, reference: str = ""
) -> Receipt:
    """The receipt of an answer, by ``classify``. Raises the failure that it is instead."""
    retry_after = answer.headers.get("retry-after", "")
    verdict = classify(manifest, operation, status=answer.status, code=code, message=message, retry_after=retry_after)
    if isinstance(verdict, Exception):
        raise verdict
    return Receipt(code, message, reference, duplicate=verdict is Outcome.DUPLICATE)


def failure_of(outcome: Outcome, reason: str, message: str, *, code: str, seconds: float | None) -> Failure:
    """The failure of an outcome. The partner's message is masked: it may quote whom the dossier is about."""
    message = mask(message)
    if outcome is Outcome.THROTTLED or outcome is Outcome.CLOSED:
        return Throttled(reason, message, seconds=60.0 if seconds is None else seconds, code=code)
    kinds: dict[Outcome, type[Failure]] = {
        kind.outcome: kind for kind in (Rejected, Transient, Unauthorised, Invalid, Uncertain)
    }
    if outcome not in kinds:
        raise UnclassifiedAnswer(code, message)
    return kinds[outcome](reason, message, code=code)


def _by_status(status: int, message: str, retry_after: str) -> Failure | None:
    code, message = str(status), mask(message)
    if status < 300:
        return None
    if status in (401, 403):
        return Unauthorised("http_unauthorised", message, code=code)
    if status in (429, 503):
        if (seconds := _seconds(retry_after)) is not None:
            return Throttled("retry_after", message, seconds=seconds, code=code)
        return Transient("busy", message, code=code)
    if status == 408 or status >= 500:
        return Uncertain("server_error", message, code=code)
    if status < 400 or status in NOT_SERVED:
        return Transient("not_served", message, code=code)
    if status in MALFORMED:
        return Invalid("http_refused", message, code=code)
    raise UnclassifiedAnswer(code, message)


def _seconds(retry_after: str) -> float | None:
    return float(retry_after) if retry_after.strip().isdecimal() else None


def _broken(error: Exception, *, left: bool) -> Failure:
    """What a broken exchange means.

    The partner refuses our certificate in the handshake, or with TLS 1.3 after it, when the request is on its way; it
    may also just reset the connection then, and that looks like any other reset.
    """
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Unauthorised("certificate_refused", "the partner's certificate is not trusted")
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError) and _REFUSAL.search(str(getattr(cause, "reason", ""))):
            return Unauthorised("certificate_refused", "the partner refuses our certificate")
        cause = cause.__cause__
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Transient("connect", _kind(error))
    if left:
        return Uncertain("answer_timeout" if isinstance(error, TimeoutError) else "connection_lost", _kind(error))
    return Transient("not_sent", _kind(error))


def _kind(error: Exception) -> str:
    return type(error).__name__


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Header names in lower case. A Retry-After that is a date counts from the partner's own Date: clocks differ."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    if "retry-after" not in headers:
        return headers
    until, now = _http_date(headers["retry-after"]), _http_date(headers.get("date", ""))
    if until is not None and now is not None:
        headers["retry-after"] = str(max(0, int((until - now).total_seconds())))
    return headers


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


async def _left(_session: object, context: Any, _params: object) -> None:
    context.trace_request_ctx["left"] = True


def _tls(config: HttpConfig) -> ssl.SSLContext | bool:
    if not config.ca_file and not config.cert_file:
        return True
    return tls_context(config.ca_file, config.cert_file, config.key_file)
