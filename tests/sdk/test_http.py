"""The connectors' HTTP client: whether a failed request had left, and what an answer is worth."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.sdk.http import LONGEST_ANSWER, Answer
from router.sdk.outcomes import Transient, Uncertain
from router.sdk.testing.quirks import windows_1258
from tests.sdk.wire import answer, client, partner, saying

VIETNAMESE = "aăâbcdđeêghiklmnoôơpqrstuưvxyAĂÂĐÊÔƠƯ .,"
TONES = ["", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323"]


async def test_nobody_listening_is_transient():
    with socket.socket() as bound:  # bound, and not listening
        bound.bind(("127.0.0.1", 0))
        async with client(f"http://127.0.0.1:{bound.getsockname()[1]}") as http:
            with pytest.raises(Transient, match="connect"):
                await http.request("POST", "/", json_body={})


async def test_waiting_for_a_free_connection_is_transient():
    asked = asyncio.Event()
    async with partner(saying(b"", hang_up=False, asked=asked)) as url, client(url, connections=1) as http:
        holding = asyncio.create_task(http.request("POST", "/"))
        await asked.wait()  # the only connection is taken
        with pytest.raises(Transient, match="not_sent"):
            await http.request("POST", "/", timeout=0.05)
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)


async def test_a_client_that_is_not_open_sends_nothing():
    async with client("http://127.0.0.1:1") as http:
        await http.close()
        with pytest.raises(Transient, match="not_open"):
            await http.request("POST", "/")


async def test_no_answer_in_time_is_uncertain():
    async with partner(saying(b"", hang_up=False)) as url, client(url) as http:
        with pytest.raises(Uncertain, match="answer_timeout"):
            await http.request("POST", "/", json_body={}, timeout=0.1)


async def test_an_answer_that_stops_in_the_middle_of_its_time_is_uncertain():
    async with partner(saying(answer(b"{}" * 50)[:-10], hang_up=False)) as url, client(url) as http:
        with pytest.raises(Uncertain, match="answer_timeout"):
            await http.request("POST", "/", json_body={}, timeout=0.1)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-", id="half a head"),
        pytest.param(answer(b'{"code": "00"}')[:-5], id="half a body"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", id="another protocol"),
    ],
)
async def test_an_answer_cut_off_is_uncertain(said: bytes):
    async with partner(saying(said)) as url, client(url) as http:
        with pytest.raises(Uncertain):
            await http.request("POST", "/", json_body={})


async def test_an_answer_above_the_limit_is_uncertain_and_not_kept():
    async with partner(saying(answer(b"x" * (LONGEST_ANSWER + 1)))) as url, client(url) as http:
        with pytest.raises(Uncertain, match="answer_too_long"):
            await http.request("GET", "/")


async def test_an_answer_at_the_limit_is_read():
    async with partner(saying(answer(b"x" * LONGEST_ANSWER))) as url, client(url) as http:
        assert len((await http.request("GET", "/")).body) == LONGEST_ANSWER


async def test_a_redirect_is_not_followed():
    moved = answer(b"", "302 Found", "Location: http://127.0.0.1:1/login")
    async with partner(saying(moved)) as url, client(url) as http:
        assert (await http.request("POST", "/", json_body={})).status == 302


async def test_a_call_cut_off_leaves_the_client_usable():
    asked = asyncio.Event()
    async with partner(saying(b"", hang_up=False, asked=asked)) as url, client(url, connections=1) as http:
        call = asyncio.create_task(http.request("POST", "/", json_body={}))
        await asked.wait()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        with pytest.raises(Uncertain):  # it has left: the one connection is free again
            await http.request("POST", "/", json_body={}, timeout=0.1)


async def test_json_goes_out_as_utf_8_with_its_diacritics():
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        writer.write(answer(json.dumps({"head": head.decode(), "body": body.decode()}).encode()))
        await writer.drain()

    async with partner(echo) as url, client(url) as http:
        got = (await http.request("POST", "/ho-so", json_body={"HoTen": "Nguyễn Thị Hạnh"})).object()
        assert json.loads(got["body"]) == {"HoTen": "Nguyễn Thị Hạnh"}
        assert "Nguyễn" in got["body"]
        assert "application/json; charset=utf-8" in got["head"]
        form = (await http.request("POST", "/token", form={"grant_type": "password", "username": "một cửa"})).object()
        assert form["body"] == "grant_type=password&username=m%E1%BB%99t+c%E1%BB%ADa"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", "120"),
        ("Mon, 16 Jun 2025 01:02:00 GMT", "120"),
        ("Mon, 16 Jun 2025 00:59:00 GMT", "0"),
        ("sớm thôi", "sớm thôi"),
    ],
)
async def test_retry_after_is_given_in_seconds_by_the_partners_own_clock(said: str, seconds: str):
    busy = answer(b"", "503 Busy", "Date: Mon, 16 Jun 2025 01:00:00 GMT").replace(
        b"Connection", f"Retry-After: {said}\r\nConnection".encode()
    )
    async with partner(saying(busy)) as url, client(url) as http:
        assert (await http.request("GET", "/")).headers["retry-after"] == seconds


TEXT = "Hồ sơ đã tồn tại"


@pytest.mark.parametrize(
    ("body", "declared"),
    [
        pytest.param(TEXT.encode(), "application/json; charset=utf-8", id="as it should be"),
        pytest.param(TEXT.encode(), "application/json; charset=iso-8859-1", id="UTF-8 under another name"),
        pytest.param(TEXT.encode("utf-16"), "text/plain; charset=utf-16", id="declared"),
        pytest.param(windows_1258(TEXT), "text/plain; charset=utf-8", id="the old code page called UTF-8"),
        pytest.param(windows_1258(TEXT), "text/plain", id="the old code page, undeclared"),
        pytest.param(windows_1258(TEXT), "text/plain; charset=klingon", id="the old code page, declared as nonsense"),
        pytest.param(unicodedata.normalize("NFD", TEXT).encode(), "text/plain", id="letters and marks apart"),
    ],
)
def test_text_is_read_whatever_charset_it_claims(body: bytes, declared: str):
    assert Answer(200, {"content-type": declared}, body).text() == TEXT


@given(st.text(st.sampled_from(VIETNAMESE)), st.data())
def test_the_old_code_page_says_every_vietnamese_text(bare: str, data: st.DataObject):
    tones = [data.draw(st.sampled_from(TONES)) if c.lower() in "aăâeêioôơuưy" else "" for c in bare]
    text = unicodedata.normalize("NFC", "".join(c + t for c, t in zip(bare, tones, strict=True)))
    assert Answer(200, {}, windows_1258(text)).text() == text


@given(st.binary(max_size=200))
def test_any_bytes_are_some_text_and_are_json_or_uncertain(body: bytes):
    said = Answer(200, {}, body)
    assert isinstance(said.text(), str)
    with contextlib.suppress(Uncertain):
        said.json()


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"[" * 100_000, b'{"code": "00"'])
def test_an_answer_that_is_no_json_is_uncertain(body: bytes):
    with pytest.raises(Uncertain, match="unreadable_answer"):
        Answer(200, {}, body).json()


@pytest.mark.parametrize("body", [b"[]", b"null", b'"00"', b"7"])
def test_an_answer_that_is_no_object_is_uncertain(body: bytes):
    with pytest.raises(Uncertain, match="unreadable_answer"):
        Answer(200, {}, body).object()


def test_a_byte_order_mark_is_no_obstacle():
    assert Answer(200, {}, b'\xef\xbb\xbf{"code": "00"}').json() == {"code": "00"}


def test_neither_body_nor_headers_stand_in_the_repr_of_an_answer():
    shown = repr(Answer(200, {"set-cookie": "secret"}, "Nguyễn Văn A 080090001234".encode()))
    assert shown == "Answer(status=200)"
