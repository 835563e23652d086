"""Avro for Java, for tests: its jars are fetched once with Maven into ``.parts/``, its program runs from source."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.parts.kafka import ROOT, PartMissing

VERSION = "1.12.0"
JARS = ROOT / ".parts" / f"avro-{VERSION}"
FOLDER = Path(__file__).parent / "avro"


def fetched_jars() -> Path:
    """The folder of jars, whole or absent. Raises ``PartMissing``."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None and not (program == "mvn" and JARS.is_dir()):
            raise PartMissing(f"{program} is not installed")
    JARS.parent.mkdir(exist_ok=True)
    with (JARS.parent / "avro.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not JARS.is_dir():
            fresh = Path(tempfile.mkdtemp(dir=JARS.parent))
            pom = str(FOLDER / "pom.xml")
            command = ["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={fresh}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
            if done.returncode or not any(fresh.glob("avro-*.jar")):
                shutil.rmtree(fresh)
                raise PartMissing(f"Maven cannot fetch Avro {VERSION}: {done.stdout[-500:]}")
            fresh.rename(JARS)
    return JARS


def reencode(lines: str) -> list[str]:
    """What ``Reencode.java`` answers to lines of schema (base64) and payload (hex)."""
    command = ["java", "-cp", f"{fetched_jars()}/*", str(FOLDER / "Reencode.java")]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()
