"""The contract of a connector: one class per kind of agency system, one instance per recipient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from router.ports import Clock, Ids, ObjectStore
from router.sdk.configured import Configured
from router.sdk.event import Event
from router.sdk.inbound import Poll, Route
from router.sdk.manifest import Manifest
from router.sdk.outcomes import Checked, Receipt

C = TypeVar("C", bound="ConnectorConfig")


class ConnectorConfig(Configured):
    """Base of a connector's own settings; unknown keys are refused. What lets the partner in is a ``Secret``, what it
    gave us to log in with a ``Credential``; each may stand in a file, as key ``…_file``.
    """


@dataclass(frozen=True, slots=True)
class Context:
    """What an instance is given: its recipient id and the ports it may use. No bus, no ledger.

    ``organ`` is the code by which this installation names itself in trace headers; empty where none is configured.
    Whoever hands a document on writes it there (``Document.through``), so that one that comes round is recognised.
    """

    recipient: str
    clock: Clock
    ids: Ids
    objects: ObjectStore
    log: Any = field(repr=False, default=None)
    organ: str = ""


class Connector(ABC, Generic[C]):
    """One agency system.

    Lifecycle: constructed with valid config, ``open`` before the first call, any number of concurrent calls (up to the
    manifest's limit, never two of one dossier), ``close`` after the last. ``deliver`` is cut off at the operation's
    time-out. It returns a ``Receipt`` or raises a failure of ``router.sdk.outcomes``; it does not retry, wait or log
    personal data.
    """

    manifest: Manifest  # of the class; an instance may have its windows set by configuration
    config_model: ClassVar[type[ConnectorConfig]]

    def __init__(self, config: C, context: Context) -> None:
        self.config = config
        self.context = context

    async def open(self) -> None:
        """Acquire what calls need (sessions). A partner that is down must not make it fail."""

    @abstractmethod
    async def deliver(self, event: Event) -> Receipt:
        """Hand one event to the partner."""

    async def prepare(self, event: Event) -> None:
        """Whether a request could be made of this event, without sending it: raises what ``deliver`` would raise before
        the request leaves. Used by dry runs; without an override only the payload is decoded.
        """
        event.data()

    async def check(self, event: Event) -> Checked:
        """Ask the partner whether it took this event. Required where an operation is ``checked``."""
        return Checked.UNKNOWN

    async def probe(self) -> bool:
        """Whether the partner answers at all; a cheap question without effect."""
        return True

    def routes(self) -> Sequence[Route]:
        """Webhooks that the partner calls."""
        return ()

    def polls(self) -> Sequence[Poll]:
        """Sources to pull from."""
        return ()

    async def close(self) -> None:
        """Release everything."""
