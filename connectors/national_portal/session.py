"""The portal's RPC: ``{session, madonvi, service, isUpdating, data}`` in, ``{error_code, message, result}`` out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from router.sdk import (
    ConnectorConfig,
    Credential,
    Failure,
    Manifest,
    Outcome,
    Throttled,
    Transient,
    Unauthorised,
    Uncertain,
)
from router.sdk.http import Answer, Http, UnclassifiedAnswer, classify

PATIENCE: Final = 60.0  # seconds the portal may take for one call
EXPIRED: Final = "session_expired"  # the reason under which the manifest has the answer to an ended session


class SessionConfig(ConnectorConfig):
    """Who we are at the portal: account, the destination header of the login, the unit we speak for (``madonvi``)."""

    user: str
    password: Credential
    dstcode: str
    unit: str


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. Under an HTTP error ``code`` and ``message`` are empty."""

    status: int
    code: str = ""
    message: str = field(default="", repr=False)
    result: Any = field(default=None, repr=False)
    retry_after: str = ""

    @classmethod
    def of(cls, answer: Answer) -> Said:
        """Raises ``Uncertain`` for an answer that cannot be read or does not say whether it is success."""
        after = answer.headers.get("retry-after", "")
        if answer.status >= 300:
            return cls(answer.status, retry_after=after)
        body = answer.object()
        code = body.get("error_code")
        if not isinstance(code, str | int) or isinstance(code, bool) or code == "":
            raise Uncertain("unreadable_answer", "an answer without error_code")
        return cls(answer.status, str(code), str(body.get("message") or ""), body.get("result"), after)


class Session:
    """A session that many calls share. It is kept until the portal says that it has ended; one login at a time."""

    def __init__(self, http: Http, manifest: Manifest, config: SessionConfig) -> None:
        self._http, self._manifest, self._config = http, manifest, config
        self._id = ""
        self._logging_in = asyncio.Lock()

    async def call(
        self,
        service: str,
        data: Sequence[Mapping[str, Any]] = (),
        *,
        updating: bool = False,
        event_id: str = "",
        timeout: float = PATIENCE,
    ) -> Said:
        """One call, under a new session if the old one had ended: the portal does nothing without a session.

        ``updating`` travels as the text ``"True"`` or ``"False"``; a JSON boolean is refused. Raises what ``Http``
        raises, ``Unauthorised`` for refused credentials, ``Transient`` for a login that failed.
        """
        body = {
            "session": await self._current(),
            "madonvi": self._config.unit,
            "service": service,
            "isUpdating": "True" if updating else "False",
            "data": list(data),
        }
        said = await self._post(body, event_id, timeout)
        if not self._has_ended(service, said):
            return said
        self._forget(str(body["session"]))
        return await self._post({**body, "session": await self._current()}, event_id, timeout)

    def verdict(self, service: str, said: Said) -> Outcome | None:
        """What an answer means. Raises the failure that the manifest or HTTP declares for it."""
        found = classify(
            self._manifest,
            service,
            status=said.status,
            code=said.code,
            message=said.message,
            retry_after=said.retry_after,
        )
        if isinstance(found, Failure):
            raise found
        return found

    async def _post(self, body: Mapping[str, Any], event_id: str, timeout: float) -> Said:
        headers = {"X-Event-Id": event_id} if event_id else {}
        answer = await self._http.request("POST", "/integration", json_body=body, headers=headers, timeout=timeout)
        return Said.of(answer)

    def _has_ended(self, service: str, said: Said) -> bool:
        row = self._manifest.error(service, code=said.code, http=said.status, message=said.message)
        return row is not None and row.reason == EXPIRED

    async def _current(self) -> str:
        async with self._logging_in:
            if not self._id:
                self._id = await self._login()
            return self._id

    def _forget(self, session: str) -> None:
        if self._id == session:  # another call may have logged in again meanwhile
            self._id = ""

    async def _login(self) -> str:
        """A new session. No event has left yet, so whatever breaks here is *transient*, never uncertain, and nothing
        the portal says about a login is about the event.
        """
        body = {"username": self._config.user, "password": self._config.password.get_secret_value()}
        headers = {"dstcode": self._config.dstcode}
        try:
            answer = await self._http.request("POST", "/login", json_body=body, headers=headers, timeout=PATIENCE)
            said = Said.of(answer)
            outcome = self.verdict("login", said)
        except (Unauthorised, Throttled, Transient):
            raise
        except Failure as error:
            raise Transient("login_failed", error.reason, code=error.code) from None
        except UnclassifiedAnswer as error:
            raise Transient("login_failed", "a code that is not explained", code=error.code) from None
        session = answer.object().get("session") if outcome is Outcome.DELIVERED else None
        if not isinstance(session, str) or not session:
            raise Transient("login_failed", "the portal gives no session", code=said.code)
        return session
