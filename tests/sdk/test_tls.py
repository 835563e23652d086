"""Certificates: one that is refused, by us or by the partner, is about credentials and not about the event."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

import pytest

from router.sdk.outcomes import Unauthorised
from tests.parts.certificates import Certificates
from tests.sdk.wire import answer, client, partner, saying


async def test_a_trusted_partner_is_spoken_to(certificates: Certificates):
    async with (
        partner(saying(answer(b"{}")), certificates.server()) as url,
        client(url, ca_file=str(certificates.ca)) as http,
    ):
        assert (await http.request("POST", "/", json_body={})).status == 200


async def test_a_partner_nobody_vouches_for_is_refused(certificates: Certificates):
    async with partner(saying(answer(b"{}")), certificates.server()) as url, client(url) as http:
        with pytest.raises(Unauthorised, match="certificate_refused"):
            await http.request("POST", "/", json_body={})


async def test_our_own_certificate_is_shown(certificates: Certificates):
    tls = certificates.server()
    tls.verify_mode = ssl.CERT_REQUIRED
    ours = {"ca_file": str(certificates.ca), "cert_file": str(certificates.cert), "key_file": str(certificates.key)}
    async with partner(saying(answer(b"{}")), tls) as url, client(url, **ours) as http:
        assert (await http.request("POST", "/", json_body={})).status == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_partner_that_wants_a_certificate_and_gets_none_stops_the_recipient(
    certificates: Certificates, version: ssl.TLSVersion
):
    tls = certificates.server()
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.minimum_version = tls.maximum_version = version
    with socket.create_server(("127.0.0.1", 0)) as listening:
        refusing = threading.Thread(target=refuse_politely, args=(listening, tls))
        refusing.start()
        async with client(f"https://localhost:{listening.getsockname()[1]}", ca_file=str(certificates.ca)) as http:
            with pytest.raises(Unauthorised, match="refuses our certificate"):
                await http.request("POST", "/", json_body={})
        refusing.join()


def refuse_politely(listening: socket.socket, tls: ssl.SSLContext) -> None:
    """Fail the handshake, and let the client read why: asyncio's own server resets the connection instead."""
    accepted, _ = listening.accept()
    with accepted:
        connection = tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        with connection:
            with contextlib.suppress(ssl.SSLError):
                connection.do_handshake()
            raw = socket.socket(fileno=connection.detach())
            with raw:
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(4096):
                    continue
