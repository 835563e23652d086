"""The guide to writing a connector, followed to the letter."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "connectors" / "README.md"
BLOCK = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_connector_of_the_guide_passes_its_tests(tmp_path: Path):
    for name, content in BLOCK.findall(GUIDE.read_text("utf-8")):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(GUIDE.parents[1])])}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"{run.stdout[-3000:]}{run.stderr[-1000:]}"
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None
    assert int(passed[1]) >= 25


def test_the_entry_point_of_the_guide_names_its_class():
    blocks = dict(BLOCK.findall(GUIDE.read_text("utf-8")))
    entry = tomllib.loads(blocks["pyproject.toml"])["project"]["entry-points"]["lgsp.connectors"]
    module, _, name = entry["building_permits"].partition(":")
    assert f"class {name}(" in blocks[module.replace(".", "/") + ".py"]
