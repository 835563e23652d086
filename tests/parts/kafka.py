"""A real single-node Apache Kafka (KRaft) on a free loopback port, for tests and benches.

``LGSP_TEST_KAFKA`` names an existing broker instead. Its jars are fetched once with Maven into ``.parts/``. A missing
part skips the test with the reason; with ``CI=true`` it fails.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

VERSION = "4.3.1"
ROOT = Path(__file__).resolve().parents[2]
JARS = ROOT / ".parts" / f"kafka-{VERSION}"
POM = Path(__file__).parent / "kafka" / "pom.xml"

PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{guarded}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{guarded}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
"""

# Ends the broker when the process that asked for it is gone, however it went: its pipe then reads end-of-file.
WATCH = """
import os, signal, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
signal.signal(signal.SIGTERM, lambda *_: None)
sys.stdin.buffer.read()
child.kill()
child.wait()
"""


class PartMissing(Exception):
    """What a part needs is not on this machine; the text says what."""


class Guard(NamedTuple):
    """Listeners beside the plain one, by protocol, with their properties and the words that format the storage."""

    ports: Mapping[str, int]
    properties: str
    words: Sequence[str] = ()


class Broker:
    """A broker whose data outlives its process: ``start``, ``kill`` (as ``kill -9``) and ``start`` again."""

    def __init__(self, jars: Path, folder: Path, guard: Guard | None = None) -> None:
        self._jars, self._folder = jars, folder
        self._watch: subprocess.Popen[bytes] | None = None
        self.port, controller = free_ports()
        guarded = "" if guard is None else "".join(f",{name}://127.0.0.1:{port}" for name, port in guard.ports.items())
        text = PROPERTIES.format(port=self.port, controller=controller, folder=folder, guarded=guarded)
        self._properties = folder / "server.properties"
        self._properties.write_text(text + ("" if guard is None else guard.properties))
        words = ["-t", "bGdzcC1yb3V0ZXItdGVzdA", "-c", str(self._properties), *(() if guard is None else guard.words)]
        run_java(jars, "kafka.tools.StorageTool", "format", *words)

    @property
    def bootstrap(self) -> str:
        """Its ``host:port``."""
        return f"127.0.0.1:{self.port}"

    def launch(self) -> None:
        """Start its process, at the same address and over the same data as before."""
        with (self._folder / "server.log").open("ab") as log:
            self._watch = subprocess.Popen(
                [sys.executable, "-c", WATCH, *java(self._jars), "kafka.Kafka", str(self._properties)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def start(self) -> None:
        """``launch``, and wait until it answers."""
        self.launch()
        assert self._watch is not None
        wait_ready(self._watch, self.port, self._folder / "server.log")

    def kill(self) -> None:
        """End its process at once."""
        if self._watch is not None:
            assert self._watch.stdin is not None
            self._watch.stdin.close()
            self._watch.wait(20)
            self._watch = None


@contextmanager
def own_broker(guard: Guard | None = None, *, disk: Path | None = None) -> Iterator[Broker]:
    """A broker for the length of the block, started; its data are on ``disk``. Raises ``PartMissing``."""
    jars = fetched_jars()
    folder = Path(tempfile.mkdtemp(prefix="lgsp-kafka-", dir=disk))
    try:
        broker = Broker(jars, folder, guard)
        try:
            broker.start()
            yield broker
        finally:
            broker.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_kafka() -> Iterator[str]:
    """A broker's ``host:port`` for the length of the block. Raises ``PartMissing``."""
    if existing := os.environ.get("LGSP_TEST_KAFKA"):
        yield existing
        return
    with own_broker() as broker:
        yield broker.bootstrap


def fetched_jars() -> Path:
    """The folder of jars; fetched under a lock into a temporary folder and renamed, so that it is whole or absent."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None and not (program == "mvn" and JARS.is_dir()):
            raise PartMissing(f"{program} is not installed")
    JARS.parent.mkdir(exist_ok=True)
    with (JARS.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not JARS.is_dir():
            fresh = Path(tempfile.mkdtemp(dir=JARS.parent))
            command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={fresh}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
            if done.returncode or not any(fresh.glob("kafka_*.jar")):
                shutil.rmtree(fresh)
                raise PartMissing(f"Maven cannot fetch Kafka {VERSION}: {done.stdout[-500:]}")
            fresh.rename(JARS)
    return JARS


def java(jars: Path) -> list[str]:
    """The start of a Java command."""
    return ["java", "-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-cp", f"{jars}/*"]


def run_java(jars: Path, *arguments: str) -> None:
    """Run a Java tool to its end."""
    done = subprocess.run([*java(jars), *arguments], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} failed: {(done.stdout + done.stderr)[-1000:]}")


def free_ports() -> tuple[int, int]:
    """Two free loopback ports."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def wait_ready(watch: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until the broker answers, which a started JVM alone does not."""
    until = time.monotonic() + 60
    while time.monotonic() < until and watch.poll() is None:
        if answers(port):
            return
        time.sleep(0.1)
    raise RuntimeError(f"Kafka did not start: {log.read_text(errors='replace')[-2000:]}")


def answers(port: int) -> bool:
    """Whether the broker answers an ApiVersions request (version 0, which every Kafka still speaks)."""
    request = b"\x00\x12\x00\x00\x00\x00\x00\x01\x00\x05probe"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(len(request).to_bytes(4, "big") + request)
            head = connection.recv(8)
    except OSError:
        return False
    return head[4:] == b"\x00\x00\x00\x01"


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """The ``host:port`` of a real Kafka."""
    try:
        with running_kafka() as bootstrap:
            yield bootstrap
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no Kafka: {missing}")
        pytest.skip(f"no Kafka: {missing}")
