"""Files in messages of VBDLIS: it wants and sends them as base64 inside the JSON; the bus carries claim checks."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from connectors.land_registry.mapping import FILE_LISTS
from router.sdk import Context
from router.sdk.fields import wrong

CONTENT: Final = "NoiDung"


async def with_contents(body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """An outbound message with the contents of its files. Raises ``ObjectError`` for a file that is not stored."""
    made = dict(body)
    for name in FILE_LISTS:
        if name in made:
            made[name] = [{**file, CONTENT: await _content(file, context)} for file in made[name]]
    return made


async def without_contents(body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """An inbound message with its files stored and replaced by their claim checks. Raises ``BadRequest``.

    Storing is by content: a message that is sent again stores nothing twice.
    """
    made = dict(body)
    for name in FILE_LISTS:
        files = made.get(name)
        if isinstance(files, list):
            made[name] = [await _stored(file, f"{name}[{index}]", context) for index, file in enumerate(files)]
    return made


async def _content(file: Mapping[str, Any], context: Context) -> str:
    return b64encode(await context.objects.get(str(file["Khoa"]))).decode()


async def _stored(file: Any, where: str, context: Context) -> Any:
    """A file whose content came along, as its claim check; one that is a claim check already stays as it is."""
    if not isinstance(file, Mapping) or CONTENT not in file:
        return file
    text = file[CONTENT]
    try:
        content = b64decode("".join(text.split()), validate=True) if isinstance(text, str) else b""
    except ValueError:
        content = b""
    if not content:
        raise wrong(f"{where}.{CONTENT}", "nội dung tệp dạng base64", "a file in base64")
    check = {
        "Khoa": await context.objects.put(content),
        "Sha256": sha256(content).hexdigest(),
        "DungLuong": len(content),
        "LoaiTep": file.get("LoaiTep") or "application/pdf",
        "VaiTro": file.get("VaiTro") or "giay-to",
    }
    return {**{name: value for name, value in file.items() if name != CONTENT}, **check}
