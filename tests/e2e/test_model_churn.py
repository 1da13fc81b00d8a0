"""Two hundred calls on PersonaPlex, with as many roles, leave no memory taken and no row in its batch."""

import json
import subprocess
import sys

import pytest

from tests.support.app_process import ROOT

WARM_UP = 40
CALLS = 200
MEMORY_MB = 20.0


@pytest.mark.timeout(180)
def test_two_hundred_calls_leave_nothing_in_memory():
    """In a process of their own, where nothing else takes or gives back memory."""
    command = [sys.executable, "-m", "tests.support.model_churn", str(WARM_UP), str(CALLS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr[-6_000:]
    assert "Traceback" not in done.stderr, done.stderr[-6_000:]
    left = json.loads(done.stdout.splitlines()[-1])
    print(f"Memory: {left['before_mb']:.1f} MB before, {left['after_mb']:.1f} MB after {CALLS} calls.")
    assert left["after_mb"] - left["before_mb"] < MEMORY_MB
    assert left["rows"] == 0
