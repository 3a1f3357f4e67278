"""The fault test with few kills; by hand: ``tests/benchmarks/bench_faults.py --kills 300``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_random_kills_lose_and_invent_nothing() -> None:
    seed = str(int.from_bytes(os.urandom(2)))
    done = subprocess.run(
        [sys.executable, "tests/benchmarks/bench_faults.py", "--kills", "25", "--evaluations", "2", "--seed", seed],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'benchmarks'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    figure = json.loads(done.stdout)
    assert figure["violations"] == [] and figure["value"] == 25 and figure["runs"] > 0, figure
