"""A stand-in NVML library built by gcc, driven in a process of its own: a loaded library cannot be unloaded again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Drive = Callable[[str], list[Any]]
"""Runs a script that knows ``sampler``, ``tick``, ``readings`` and ``show``; returns what it showed."""

_PRELUDE = """
import json, os, sys, time
from pathlib import Path
from backends.telemetry.codec import gpus_from, to_dict
from backends.telemetry.driver import Driver, Reading
from backends.telemetry.nvml import Nvml
from backends.telemetry.sampler import Sampler
from db.home import Home

now = [1000.0]
def tick(seconds):
    now[0] += seconds
def readings(text):
    Path(os.environ["FADA_NVML_STUB"]).write_text(text)
def show(thing):
    print(json.dumps(to_dict(thing) if hasattr(thing, "gpus") else thing))
class Here:
    # Asks in this process, by a clock that a test turns.
    def __init__(self):
        self.nvml = Nvml(clock=lambda: now[0])
    def read(self):
        gpus, reason = self.nvml.read()
        return Reading(gpus_from(gpus), reason, self.nvml.driver)
    def close(self):
        pass
home = Home(Path(os.environ["FADA_TEST_HOME"]))
sampler = Sampler(home, clock=lambda: now[0], cards=Here())
"""


def _run(script: str, environment: dict[str, str]) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + script],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds libnvidia-ml.so.1, the stand-in."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing: the stand-in NVML library cannot be built")
    folder = tmp_path_factory.mktemp("nvml")
    library, source = folder / "libnvidia-ml.so.1", Path(__file__).with_name("nvml_stub.c")
    flags = ["-shared", "-fPIC", "-O1", "-w", "-Wl,-soname,libnvidia-ml.so.1"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(source)], check=True)
    return folder


@pytest.fixture
def with_cards(nvml_library: Path, tmp_path: Path) -> Drive:
    """Run a script beside the stand-in library."""
    found = os.environ.get("LD_LIBRARY_PATH")
    environment = {
        "LD_LIBRARY_PATH": f"{nvml_library}:{found}" if found else str(nvml_library),
        "FADA_NVML_STUB": str(tmp_path / "readings.txt"),
        "FADA_TEST_HOME": str(tmp_path / "home"),
    }
    return lambda script: _run(script, environment)


@pytest.fixture
def as_it_is(tmp_path: Path) -> Drive:
    """Run a script with this machine's own driver, or none."""
    return lambda script: _run(script, {"FADA_TEST_HOME": str(tmp_path / "home")})
