"""A connector before its simulated partner: what a connector's tests are given, and what they watch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from router.errors import ObjectError
from router.ports import ObjectStore
from router.sdk.connector import Connector, ConnectorConfig, Context
from router.sdk.event import Event
from router.sdk.inbound import Request, Route
from router.sdk.manifest import Manifest
from router.sdk.outcomes import Receipt
from router.sdk.testing.cases import Cases, Inbound, Outbound
from router.sdk.testing.clock import CountingIds, ManualClock
from router.sdk.testing.personal import personal_texts
from router.sdk.testing.quirks import Quirk
from router.sdk.testing.simulator import Simulator, answer_json


class NoObjects:
    """An object store without objects."""

    async def put(self, content: bytes) -> str:
        """Refused."""
        raise ObjectError("no object is stored in these tests")

    async def get(self, key: str) -> bytes:
        """Refused."""
        raise ObjectError("no object is read in these tests")


@dataclass(frozen=True, slots=True)
class Kit:
    """A connector with all that its tests need.

    ``simulator`` makes the partner on a clock; ``config`` the settings for its base URL; ``words`` the body in which
    the partner says a code and a text; ``prepare`` brings the partner to where it takes an event; ``objects`` makes
    the store of attachments.
    """

    package: str
    connector: type[Connector[Any]]
    simulator: Callable[[ManualClock], Simulator]
    config: Callable[[str], Mapping[str, Any]]
    words: Callable[[str, str], Any]
    prepare: Callable[[Any, Event], None] = field(default=lambda _simulator, _event: None)
    objects: Callable[[], ObjectStore] = NoObjects

    @property
    def manifest(self) -> Manifest:
        """The connector's manifest."""
        return self.connector.manifest

    def cases(self) -> Cases:
        """Its golden cases."""
        return Cases.load(self.package)


@dataclass(slots=True)
class Rig:
    """A connector that is open, before its simulated partner."""

    kit: Kit
    simulator: Simulator
    connector: Connector[Any]
    clock: ManualClock

    def plan(self, case: Outbound, *quirks: Quirk) -> None:
        """Let the next requests of a case's endpoint meet quirks."""
        self.simulator.quirks.plan(self.operation(case), *quirks)

    def operation(self, case: Outbound) -> str:
        """The simulator's operation that takes a case's request."""
        return self.simulator.operation_of(case.request.method, case.request.path)

    def says(self, case: Outbound, code: str, text: str, status: int = 200) -> None:
        """Let a case's endpoint say this, from now on."""
        self.simulator.scripted[self.operation(case)] = answer_json(self.kit.words(code, text), status)

    async def deliver(self, case: Outbound) -> Receipt:
        """Hand a case's event over, with the partner prepared for it."""
        event = case.event.event()
        self.kit.prepare(self.simulator, event)
        return await self.connector.deliver(event)

    async def failure(self, case: Outbound) -> Exception:
        """The exception that delivering ends in; no personal data and no secret may stand in it."""
        try:
            receipt = await self.deliver(case)
        except Exception as error:
            assert_nothing_personal(f"{error} {error!r} {error.__cause__!r}", case.event.data, self.connector.config)
            return error
        raise AssertionError(f"a receipt instead of a failure: {receipt}")

    def route(self, case: Inbound) -> Route:
        """The route that takes a case's message."""
        wanted = (case.request.method, case.request.path)
        return next(route for route in self.connector.routes() if (route.method, route.path) == wanted)

    def request(self, case: Inbound, **changes: Any) -> Request:
        """A case's message with credentials as the partner sends them."""
        given = case.request.model_copy(update=changes)
        return given.request(self.simulator.credentials(given.content()))

    def taken(self) -> int:
        """How many effects were new at the partner."""
        return sum(not effect.repeated for effect in self.simulator.effects)


#: How the installation under test names itself in trace headers.
ORGAN: Final = "H39.30"


@asynccontextmanager
async def running(kit: Kit) -> AsyncIterator[Rig]:
    """The connector, open, before its partner; both are closed at the end."""
    clock = ManualClock()
    simulator = kit.simulator(clock)
    config = kit.connector.config_model.model_validate(kit.config(await simulator.start()))
    connector = kit.connector(config, Context("under-test", clock, CountingIds(), kit.objects(), organ=ORGAN))
    await connector.open()
    try:
        yield Rig(kit, simulator, connector, clock)
    finally:
        await connector.close()
        await simulator.stop()


def assert_nothing_personal(text: str, data: Mapping[str, Any], config: ConnectorConfig) -> None:
    """No personal value of a record, and no secret of the settings, stands in a text."""
    secrets = [
        value.get_secret_value()
        for value in vars(config).values()
        if hasattr(value, "get_secret_value") and value.get_secret_value()
    ]
    for value in [*personal_texts(data), *secrets]:
        assert value not in text, "personal data or a secret in a text that is logged"
