"""A real llama.cpp server with a tiny vision model, for tests that must not trust an imitation."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_CHILD = "backends.work.convert.xllama_server"
_START_S = 240
_END_S = 20


@dataclass(frozen=True)
class LlamaServer:
    """Where it listens, and what it serves."""

    base_url: str
    """Up to and with ``/v1``."""
    model: str
    checkpoint: Path
    """The same weights for transformers. Not to be written to."""
    log: Path


@pytest.fixture(scope="session")
def llama_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """llama.cpp's HTTP server on a free loopback port, with a random tiny Gemma 3 as text and mmproj GGUF."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed: nothing was asked of a real llama.cpp server")
    from backends.work.phantoms import answers_corpus
    from tests.servers.converter import ConverterMissing, convert
    from tests.servers.tiny_gemma import build_tiny_gemma

    folder = tmp_path_factory.mktemp("llama")
    checkpoint = build_tiny_gemma(folder / "tiny-gemma", answers_corpus(), seed=0)
    try:
        model, mmproj = convert(checkpoint, folder)
    except ConverterMissing as error:
        pytest.skip(f"nothing was asked of a real llama.cpp server: {error}")
    log = folder / "server.log"
    with log.open("wb") as sink:
        command = [sys.executable, "-P", "-m", _CHILD, str(model), str(mmproj), checkpoint.name]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sink, stderr=subprocess.STDOUT)
    try:
        yield LlamaServer(f"{_address(child, log)}/v1", checkpoint.name, checkpoint, log)
    finally:
        _end(child)


def _address(child: subprocess.Popen[bytes], log: Path) -> str:
    """Where it listens, once the model is loaded; its log where it never does."""
    deadline = time.monotonic() + _START_S
    while True:
        said = log.read_text(errors="replace")
        if found := re.search(r"^URL (http://\S+)$", said, re.MULTILINE):
            return found[1]
        assert child.poll() is None, f"llama.cpp's server ended with {child.returncode}; {log}:\n{said[-3000:]}"
        assert time.monotonic() < deadline, f"llama.cpp's server does not listen; {log}:\n{said[-3000:]}"
        time.sleep(0.1)


def _end(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.close()
    try:
        child.wait(_END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
