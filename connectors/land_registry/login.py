"""Logging in at a land office: VBDLIS takes an API key, ILIS an OAuth2 password grant and its bearer token."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, Literal, Self

from pydantic import SecretStr, model_validator

from router.sdk import Clock, ConnectorConfig, Credential, Transient, Unauthorised, Uncertain
from router.sdk.http import Http

EARLY: Final = 30.0  # a token is renewed this many seconds before it ends


class LoginConfig(ConnectorConfig):
    """``dialect`` says how to log in; VBDLIS needs ``api_key``, ILIS ``user`` and ``password``."""

    dialect: Literal["vbdlis", "ilis"] = "vbdlis"
    api_key: Credential = SecretStr("")
    user: str = ""
    password: Credential = SecretStr("")

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        if self.dialect == "vbdlis" and not self.api_key.get_secret_value():
            raise ValueError("dialect vbdlis needs api_key")
        if self.dialect == "ilis" and not (self.user and self.password.get_secret_value()):
            raise ValueError("dialect ilis needs user and password")
        return self


class Login:
    """The credentials of one instance, and the token that ILIS gave for them."""

    def __init__(self, credentials: LoginConfig, http: Http, clock: Clock) -> None:
        self._credentials, self._http, self._clock = credentials, http, clock
        self._token, self._until = "", 0.0
        self._logging_in = asyncio.Lock()

    async def headers(self) -> Mapping[str, str]:
        """Headers that name us. One login at a time; while there is no token nothing has left, so nothing is uncertain.

        Raises ``Unauthorised`` when the credentials are refused, ``Transient`` when there is no answer about them.
        """
        if self._credentials.dialect == "vbdlis":
            return {"X-Api-Key": self._credentials.api_key.get_secret_value()}
        async with self._logging_in:
            if not self._token or self._clock.monotonic() >= self._until:
                try:
                    await self._grant()
                except Uncertain as error:
                    raise Transient("login_failed", error.reason, code=error.code) from None
            return {"Authorization": f"Bearer {self._token}"}

    def forget(self, headers: Mapping[str, str]) -> bool:
        """A token that the partner no longer takes is dropped; False where there is none to renew."""
        if self._credentials.dialect == "vbdlis":
            return False
        if headers.get("Authorization") == f"Bearer {self._token}":  # another call may have renewed it meanwhile
            self._token = ""
        return True

    async def _grant(self) -> None:
        form = {
            "grant_type": "password",
            "username": self._credentials.user,
            "password": self._credentials.password.get_secret_value(),
        }
        answer = await self._http.request("POST", "/token", form=form, timeout=30.0)
        if answer.status in (400, 401, 403):
            raise Unauthorised("login_refused", "ILIS refuses our credentials", code=str(answer.status))
        if answer.status >= 300:
            raise Transient("login_failed", code=str(answer.status))
        granted = answer.object()
        try:
            self._token, seconds = str(granted["access_token"]), float(granted.get("expires_in", 2 * EARLY))
        except (KeyError, TypeError, ValueError):
            raise Transient("login_failed", "ILIS gives no token") from None
        self._until = self._clock.monotonic() + seconds - EARLY
