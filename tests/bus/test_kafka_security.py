"""A real broker behind TLS and SASL: who is known gets in, and everybody else is told so."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from router.bus.kafka import KafkaBus
from router.bus.kafka_settings import KafkaSettings
from router.errors import BusUnavailable
from router.events import TopicPartition
from router.ports import TopicSpec
from tests.bus.harness import PARTITIONS, Rebalances, drain, messages, values
from tests.parts.certificates import Certificates
from tests.parts.kafka import Guard, PartMissing, free_ports, own_broker

pytestmark = pytest.mark.kafka
USER, PASSWORD = "lgsp", "mat-khau-thu-nghiem"
MODULES = "org.apache.kafka.common.security"


def guard(certificates: Certificates, folder: Path) -> Guard:
    """SASL over TLS by SCRAM and PLAIN, and TLS where the client shows a certificate."""
    sasl, mutual = free_ports()
    keystore = folder / "server.pem"
    keystore.write_text(certificates.key.read_text() + certificates.cert.read_text())
    scram = f"{MODULES}.scram.ScramLoginModule required;"
    plain = f'{MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
    properties = f"""
sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config={scram}
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={scram}
listener.name.sasl_ssl.plain.sasl.jaas.config={plain}
listener.name.ssl.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={certificates.ca}
"""
    words = [word for size in ("256", "512") for word in ("-S", f"SCRAM-SHA-{size}=[name={USER},password={PASSWORD}]")]
    return Guard({"SASL_SSL": sasl, "SSL": mutual}, properties, words)


@pytest.fixture(scope="module")
def guarded(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    """The listeners of a broker that is running."""
    asked = guard(certificates, tmp_path_factory.mktemp("kafka-tls"))
    try:
        with own_broker(asked):
            yield asked
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no Kafka: {missing}")
        pytest.skip(f"no Kafka: {missing}")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """The client may leave a connection that was refused in mid-handshake to the collector: it is collected here, not
    counted against whatever test comes next.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def settings(guarded: Guard, certificates: Certificates, protocol: str, **more: Any) -> KafkaSettings:
    """How to reach a listener, with our authority known."""
    return KafkaSettings(
        bootstrap_servers=f"127.0.0.1:{guarded.ports[protocol]}",
        security_protocol=protocol,
        request_timeout_ms=3_000,
        **{"ca_file": certificates.ca, **more},
    )


def sasl(mechanism: str, password: str = PASSWORD) -> dict[str, Any]:
    """Credentials."""
    return {"sasl_mechanism": mechanism, "user": USER, "password": password}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_who_is_known_publishes_routes_and_reads(guarded, certificates, mechanism):
    await carries(KafkaBus(settings(guarded, certificates, "SASL_SSL", **sasl(mechanism))), mechanism.lower())


async def test_a_certificate_is_as_good_as_a_password(guarded, certificates):
    shown = {"cert_file": certificates.cert, "key_file": certificates.key}
    await carries(KafkaBus(settings(guarded, certificates, "SSL", **shown)), "mutual")


async def carries(bus: KafkaBus, name: str) -> None:
    """Publish, read by a group and read by position."""
    await bus.open()
    await bus.create([TopicSpec(name, PARTITIONS)])
    at = TopicPartition(name, 0)
    publisher = await bus.publisher()
    await publisher.publish({at: messages(3)})
    await publisher.close()
    listener = Rebalances()
    subscription = await bus.subscribe("g", [name], listener)
    found = await drain(subscription, 3)
    assert values(found[at]) == [value for _, value, _ in messages(3)]
    await subscription.close()
    reader = await bus.reader("secured")
    await reader.set({at: 0})
    assert values((await drain(reader, 3))[at]) == [value for _, value, _ in messages(3)]
    await reader.close()
    await bus.close()


@pytest.mark.parametrize(
    ("protocol", "wrong"),
    [
        ("SASL_SSL", sasl("SCRAM-SHA-512", "mat-khau-khac")),
        ("SASL_SSL", sasl("PLAIN", "mat-khau-khac")),
        ("SASL_SSL", {**sasl("SCRAM-SHA-512"), "ca_file": None}),
        ("SSL", {}),
    ],
    ids=["wrong password", "wrong plain password", "a broker nobody vouches for", "no certificate of ours"],
)
async def test_who_is_not_known_is_told_so_without_the_password(guarded, certificates, protocol, wrong):
    bus = KafkaBus(settings(guarded, certificates, protocol, **wrong))
    with pytest.raises(BusUnavailable) as caught:
        await bus.open()
    assert "mat-khau" not in str(caught.value)
    await bus.close()
