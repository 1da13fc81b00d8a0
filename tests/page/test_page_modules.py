"""The page's modules in Node.js: each ``*.test.mjs`` beside this file, with what its test runner prints."""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
WITHIN_SEC = 50.0


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.test.mjs")))
def test_in_node(name: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed (scripts/install-test-tools.sh).")
    command = [node, "--test", "--test-reporter=spec", str(FOLDER / name)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_SEC)
    print(ran.stdout, ran.stderr)
    assert ran.returncode == 0
