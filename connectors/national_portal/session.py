"""The portal's session: one login at a time, renewed when the portal says it has ended."""

from __future__ import annotations

import asyncio

from pydantic import SecretStr

from router.sdk import Manifest, Transient, Unauthorised
from router.sdk.http import Http, classify

SUCCESS = ("0", "00")


class Session:
    """A session that many calls share."""

    def __init__(self, http: Http, manifest: Manifest, user: str, password: SecretStr, dstcode: str) -> None:
        self._http, self._manifest = http, manifest
        self._user, self._password, self._dstcode = user, password, dstcode
        self._id = ""
        self._logging_in = asyncio.Lock()

    async def id(self) -> str:
        """The session's id. Raises ``Unauthorised`` for refused credentials, ``Transient`` for a login that failed."""
        async with self._logging_in:
            if not self._id:
                self._id = await self._login()
            return self._id

    def ended(self, session: str) -> None:
        """The portal no longer knows this session."""
        if self._id == session:
            self._id = ""

    async def _login(self) -> str:
        body = {"username": self._user, "password": self._password.get_secret_value()}
        answer = await self._http.request(
            "POST", "/login", json_body=body, headers={"dstcode": self._dstcode}, timeout=60.0
        )
        failure = classify(self._manifest, "login", status=answer.status)
        if isinstance(failure, Exception):
            raise failure
        said = answer.object()
        code = str(said.get("error_code", ""))
        if code == "15":
            raise Unauthorised("login_refused", "the portal refuses our credentials", code=code)
        if code not in SUCCESS or not said.get("session"):
            raise Transient("login_failed", "the portal gives no session", code=code)
        return str(said["session"])
