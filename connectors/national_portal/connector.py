"""The connector of the national public service portal: session RPC out, two webhooks in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from connectors.national_portal import mapping
from connectors.national_portal.files import Files
from connectors.national_portal.inbound import Inbox, refuse
from connectors.national_portal.session import Said, Session, SessionConfig
from router.sdk import (
    Checked,
    Connector,
    ConnectorConfig,
    Context,
    Event,
    Invalid,
    Manifest,
    Outcome,
    Receipt,
    Rejected,
    Route,
    Secret,
)
from router.sdk.auth import Token
from router.sdk.http import Http, HttpConfig
from router.sdk.records import Dossier, ProgressLine, SupplementRound
from router.sdk.records import Receipt as RejectionRecord

SYNCHRONISE, PROGRESS, REPLY = "DongBoHoSoMC", "CapNhatTienDoHoSoMC", "PhanHoi"
LOOK_UP, CATALOGUE = "TraCuuHoSo", "LayDanhSachTTHC"
UNKNOWN_DOSSIER = "unknown_dossier"  # the reason under which the manifest has "there is no such dossier"


class NationalPortalConfig(SessionConfig):
    """``strategy``: look a dossier up and choose the flag, or insert first and update when it exists.

    ``files`` is where the portal's own files are, if not at ``http``; ``files_url`` the address under which the portal
    can fetch stored objects by their keys (without it a file goes out as its key).
    """

    http: HttpConfig
    webhook_token: Secret
    strategy: Literal["lookup", "insert_first"] = "insert_first"
    files: HttpConfig | None = None
    files_url: str = ""


class NationalPortal(Connector[NationalPortalConfig]):
    """The national portal for one unit."""

    manifest = Manifest.load(__package__ or "connectors.national_portal")
    config_model: ClassVar[type[ConnectorConfig]] = NationalPortalConfig

    def __init__(self, config: NationalPortalConfig, context: Context) -> None:
        super().__init__(config, context)
        self._http = Http(config.http)
        self._files_http = Http(config.files or config.http)
        self._session = Session(self._http, self.manifest, config)

    async def open(self) -> None:
        """Make the HTTP sessions; the portal's own begins with the first call."""
        await self._http.open()
        await self._files_http.open()

    async def close(self) -> None:
        """Close the HTTP sessions."""
        await self._files_http.close()
        await self._http.close()

    async def probe(self) -> bool:
        """Whether the portal answers a question with success."""
        said = await self._session.call(CATALOGUE, timeout=20.0)
        row = self.manifest.error(CATALOGUE, code=said.code, message=said.message)
        return said.status == 200 and row is not None and row.outcome is Outcome.DELIVERED

    async def deliver(self, event: Event) -> Receipt:
        """Synchronise a dossier, a progress line or a refusal."""
        operation = self.manifest.operation_for(event.type)
        if operation is None:
            raise Invalid("not_served", f"the portal takes no {event.type}")
        if operation.name == PROGRESS:
            return await self._progress(event)
        if operation.name == REPLY:
            data = mapping.rejection_data(event.subject, event.read(RejectionRecord))
            return self._receipt(REPLY, await self._session.call(REPLY, [data], event_id=event.id))
        return await self._synchronise(event)

    async def check(self, event: Event) -> Checked:
        """Whether the portal's dossier says what this event says, as far as it answers with the same fields.

        Progress lines and refusals cannot be looked up.
        """
        operation = self.manifest.operation_for(event.type)
        if operation is None or operation.name != SYNCHRONISE:
            return Checked.UNKNOWN
        said = await self._session.call(LOOK_UP, [{"MaHoSo": event.subject}])
        if said.status != 200:
            return Checked.UNKNOWN
        found, wanted = self._found(said), self._snapshot(event)
        if found is None or "TrangThaiHoSo" not in found:
            return Checked.NOT_DONE
        same = all(found[name] == value for name, value in wanted.items() if name in found)
        return Checked.DONE if same else Checked.NOT_DONE

    async def catalogue(self) -> list[Mapping[str, Any]]:
        """The procedures the portal knows."""
        said = await self._session.call(CATALOGUE)
        self._session.verdict(CATALOGUE, said)
        return list(said.result or [])

    def routes(self) -> Sequence[Route]:
        """Submissions and evidence of payment."""
        token, most = Token(self.config.webhook_token), self.manifest.inbound.max_bytes
        base = (self.config.files or self.config.http).base_url
        inbox = Inbox(Files(self._files_http, base, self.context))
        return [
            Route("POST", "/nop-ho-so", token, inbox.submission, refuse, most),
            Route("POST", "/chung-tu", token, inbox.payment, refuse, most),
        ]

    async def _synchronise(self, event: Event) -> Receipt:
        """Create or update: which of the two is the caller's duty. *Exists already* is the end of an update only; of an
        insert it means that nothing of this event was taken yet.
        """
        data = self._snapshot(event)
        updating = event.type.startswith("dossier.supplement")
        if not updating and self.config.strategy == "lookup":
            said = await self._session.call(LOOK_UP, [{"MaHoSo": data["MaHoSo"]}], event_id=event.id)
            updating = self._found(said) is not None
        said = await self._session.call(SYNCHRONISE, [data], updating=updating, event_id=event.id)
        if not updating and self._session.verdict(SYNCHRONISE, said) is Outcome.DUPLICATE:
            said = await self._session.call(SYNCHRONISE, [data], updating=True, event_id=event.id)
        return self._receipt(SYNCHRONISE, said)

    async def _progress(self, event: Event) -> Receipt:
        """Ten lines a call; what broke off is sent from the first line again, which the portal recognises."""
        lines = mapping.progress_data(event.read(ProgressLine))
        receipts = [
            self._receipt(PROGRESS, await self._session.call(PROGRESS, chunk, event_id=event.id))
            for chunk in mapping.chunks(lines)
        ]
        return receipts[-1]

    def _snapshot(self, event: Event) -> dict[str, Any]:
        """What ``DongBoHoSoMC`` is given for an event: the whole dossier, or a supplement round of it."""
        if event.type.startswith("dossier.supplement"):
            return mapping.supplement_data(event.type, event.read(SupplementRound), self.config.files_url)
        return mapping.dossier_data(event.read(Dossier), self.config.files_url)

    def _found(self, said: Said) -> Mapping[str, Any] | None:
        """The dossier that a look-up found, if any. The portal answers with a list, an object, or words."""
        try:
            self._session.verdict(LOOK_UP, said)
        except Rejected as error:
            if error.reason == UNKNOWN_DOSSIER:
                return None
            raise
        found = said.result[0] if isinstance(said.result, list) and said.result else said.result
        return found if isinstance(found, Mapping) and found else None

    def _receipt(self, operation: str, said: Said) -> Receipt:
        outcome = self._session.verdict(operation, said)
        result = said.result if isinstance(said.result, Mapping) else {}
        reference = str(result.get("IdHoSo") or "")
        return Receipt(said.code, said.message, reference, duplicate=outcome is Outcome.DUPLICATE)
