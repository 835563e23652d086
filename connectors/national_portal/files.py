"""Files that the portal names by URL: fetched from it and stored, so that the bus carries claim checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from router.sdk import BadRequest, Context, Failure, NotReceived, Throttled, Transient, Uncertain
from router.sdk.fields import wrong
from router.sdk.http import Http

PATIENCE: Final = 30.0  # seconds for one file; the portal is waiting for our answer meanwhile
FLAGGED: Final = ("1", "true")


class Files:
    """The portal's files. Only addresses below ``base_url`` are asked: a message must not send us anywhere else."""

    def __init__(self, http: Http, base_url: str, context: Context) -> None:
        self._http, self._base, self._context = http, base_url.rstrip("/"), context

    async def papers(self, items: Any, name: str) -> Any:
        """A list of papers with each file as its claim check, in order, without those the citizen deleted."""
        if not isinstance(items, Sequence) or isinstance(items, str):
            return items
        kept = [(f"{name}[{index}]", item) for index, item in enumerate(items) if not _is_deleted(item)]
        return [await self._paper(item, where) for where, item in kept]

    async def _paper(self, item: Any, where: str) -> dict[str, Any]:
        if not isinstance(item, Mapping):
            raise wrong(where, "một đối tượng JSON", "a JSON object")
        check = await self.claim_check(item.get("url"), f"{where}.url")
        given = str(item.get("HashTepTin") or "").lower()
        if given and given != check["HashTepTin"]:
            raise wrong(f"{where}.HashTepTin", "mã băm SHA-256 của tệp", "the file's SHA-256")
        return {**item, "MaThanhPhanHoSo": item.get("MaThanhPhanHoSo") or "khac", **check}

    async def claim_check(self, url: Any, where: str) -> dict[str, Any]:
        """The file behind a URL, stored by its content: what is sent again stores nothing twice.

        Raises ``BadRequest`` for an address that is not the portal's or leads to no file, ``NotReceived`` when the file
        cannot be had now: the portal sends the message again then.
        """
        try:
            answer = await self._http.request("GET", self._path(url, where), timeout=PATIENCE)
        except (Transient, Uncertain, Throttled) as error:
            raise _not_now(error) from None
        if answer.status in (408, 429) or answer.status >= 500:
            raise NotReceived("Chưa lấy được tệp, vui lòng gửi lại", f"the file is answered {answer.status}: try again")
        if answer.status != 200 or not answer.body:
            raise _no_file(where)
        return {
            "url": await self._context.objects.put(answer.body),
            "HashTepTin": sha256(answer.body).hexdigest(),
            "DungLuong": len(answer.body),
            "LoaiTep": answer.headers.get("content-type", "").partition(";")[0].strip() or "application/octet-stream",
        }

    def _path(self, url: Any, where: str) -> str:
        path = str(url or "").removeprefix(self._base)
        if not path.startswith("/"):
            raise _no_file(where)
        return path


def _is_deleted(item: Any) -> bool:
    return isinstance(item, Mapping) and str(item.get("IsDeleted", "")).lower() in FLAGGED


def _no_file(where: str) -> BadRequest:
    return wrong(where, "địa chỉ tệp tại Cổng DVCQG", "the address of a file at the portal")


def _not_now(error: Failure) -> NotReceived:
    return NotReceived("Chưa lấy được tệp, vui lòng gửi lại", f"the file cannot be fetched ({error.reason}): try again")
