"""Ids from a schema registry that speaks Confluent's REST API, asked once for a file: ``lgsp schemas ids``.

Nothing asks a registry while events flow: ids never change, schemas ship with the release, and so a registry that is
down stops nobody. A record's subject is its full name (RecordNameStrategy).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from router.codec import fingerprint_of, name_of
from router.errors import RouterError
from router.refusals import refused
from router.sdk import Failure
from router.sdk.http import Answer, Http
from schemas.catalogue import current_schemas, released_schemas

TIMEOUT: Final = 20.0
_KIND: Final = {"Content-Type": "application/vnd.schemaregistry.v1+json", "Accept": "application/json"}
_UNKNOWN: Final = frozenset({40401, 40402, 40403})  # subject, version or schema: the registry does not have it
_REFUSED: Final = frozenset({409, 422})


class RegistryFailed(RouterError):
    """The registry did not answer, or not with what its API promises."""


class SchemaRegistry:
    """A registry. ``headers`` go with each request (credentials)."""

    def __init__(self, http: Http, headers: Mapping[str, str]) -> None:
        self._http, self._headers = http, {**_KIND, **headers}

    async def id_of(self, subject: str, schema: Mapping[str, Any]) -> int | None:
        """The id of a schema under a subject; None if the registry does not have it. Raises ``RegistryFailed``."""
        answer = await self._post(f"/subjects/{subject}", schema)
        if answer.status == 404 and _said(answer).get("error_code") in _UNKNOWN:
            return None
        return _id(answer)

    async def register(self, subject: str, schema: Mapping[str, Any]) -> int:
        """The id of a schema, which is stored if it is new. Raises ``RegistryFailed``, also if it is refused."""
        return _id(await self._post(f"/subjects/{subject}/versions", schema))

    async def _post(self, path: str, schema: Mapping[str, Any]) -> Answer:
        body = json.dumps({"schemaType": "AVRO", "schema": json.dumps(schema, ensure_ascii=False)}).encode()
        try:
            answer = await self._http.request("POST", path, body=body, headers=self._headers, timeout=TIMEOUT)
        except Failure as failure:
            raise RegistryFailed(f"the schema registry cannot be asked: {failure}") from None
        if answer.status in (401, 403):
            raise refused("no_credentials", key="--user, --password-file")
        return answer


async def ids_file(registry: SchemaRegistry, *, register: bool) -> tuple[str, list[str]]:
    """The text of a file for ``[schemas] ids``, and the records of today that the registry does not have.

    Schemas of earlier releases go first, so that each subject's versions come in their order. ``register`` stores what
    the registry lacks of today's schemas and of those before. Raises ``RegistryFailed``, ``ConfigError``.
    """
    current = current_schemas()
    today = {fingerprint_of(schema) for schema in current.values()}
    read: dict[int, str] = {}
    for schema in released_schemas():
        fingerprint = fingerprint_of(schema)
        if fingerprint in today:
            continue
        number = await _asked(registry, name_of(schema), schema, register=register)
        if number is not None:
            read[number] = fingerprint.hex()
    written = {name: await _asked(registry, name, schema, register=register) for name, schema in current.items()}
    there = {name: number for name, number in written.items() if number is not None}
    lines = ["[written]", *(f'"{name}" = {number}' for name, number in sorted(there.items()))]
    lines += ["", "[read]", *(f'{number} = "{read[number]}"' for number in sorted(read))]
    return "\n".join(lines) + "\n", sorted(written.keys() - there.keys())


async def _asked(registry: SchemaRegistry, name: str, schema: Mapping[str, Any], *, register: bool) -> int | None:
    number = await registry.id_of(name, schema)
    return await registry.register(name, schema) if number is None and register else number


def _id(answer: Answer) -> int:
    said = _said(answer)
    if answer.status == 200 and isinstance(number := said.get("id"), int) and not isinstance(number, bool):
        return number
    why = str(said.get("message", ""))[:300] or "no id in the answer"
    refused = "the schema registry refuses the schema" if answer.status in _REFUSED else "the schema registry answered"
    raise RegistryFailed(f"{refused}: {answer.status} {why}")


def _said(answer: Answer) -> Mapping[str, Any]:
    try:
        found = json.loads(answer.text())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
