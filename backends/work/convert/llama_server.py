"""llama.cpp's server over a file that was just exported: started on a loopback port, asked, and ended."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from backends.jobs.job import Job, JobError
from backends.jobs.llama_cpp import PACKAGE
from backends.jobs.servers import quick_server
from backends.models.openai_server import ServerModel
from backends.work.common import generation_of
from backends.work.ledger import Ledger

CONTEXT = 8192
"""Tokens of a prompt with its image and answer."""
START_S = 900.0
"""So long a large file may take to load."""
_POLL_S = 0.2
_END_S = 20.0
_IN_FLIGHT = 2


def serving(job: Job, command: Sequence[str], model: Path, vision: Path) -> Iterator[ServerModel]:
    """The exported model behind its own server.

    Args:
        command: The server's program, or ``xllamacpp`` for the one in that package.

    Raises:
        JobError: It does not come up; its log in the run's directory says why.
    """
    alias, threads = model.stem, int(job.spec.get("threads") or 1)
    log = job.dir / "llama-server.log"
    with log.open("wb") as sink:
        # Its end comes with ours: it reads from a pipe that closes, or is ended with the process group.
        child = subprocess.Popen(
            _command(command, model, vision, alias, threads),
            stdin=subprocess.PIPE,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        url = _address(child, log)
        server = quick_server(f"{url}/v1", model=alias, concurrency=_IN_FLIGHT, timeout_s=600.0)
        ledger = Ledger(job.dir / "requests.jsonl", server, generation_of(job.spec).max_new_tokens)
        asked = ServerModel(server, None, generation_of(job.spec), ledger)
        asked.check()
        try:
            yield asked
        finally:
            asked.unload()
            ledger.close()
    finally:
        _end(child)


def _command(command: Sequence[str], model: Path, vision: Path, alias: str, threads: int) -> list[str]:
    if list(command) == [PACKAGE]:
        module = [sys.executable, "-P", "-m", "backends.work.convert.xllama_server"]
        return [*module, str(model), str(vision), alias, "--threads", str(threads), "--context", str(CONTEXT)]
    given = ["--model", str(model), "--mmproj", str(vision), "--alias", alias, "--host", "127.0.0.1"]
    given += ["--port", str(_free_port()), "--ctx-size", str(CONTEXT * _IN_FLIGHT), "--parallel", str(_IN_FLIGHT)]
    return [*command, *given, "--threads", str(threads), "--jinja"]


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _address(child: subprocess.Popen[bytes], log: Path) -> str:
    """Where it listens, once the model is loaded."""
    deadline = time.monotonic() + START_S
    arguments = child.args if isinstance(child.args, list) else []
    port = arguments[arguments.index("--port") + 1] if "--port" in arguments else None
    while True:
        said = log.read_text(errors="replace")
        if port is None and (found := re.search(r"^URL (http://\S+)$", said, re.MULTILINE)):
            return found[1]
        if port is not None and _healthy(f"http://127.0.0.1:{port}"):
            return f"http://127.0.0.1:{port}"
        if child.poll() is not None:
            raise JobError(f"llama.cpp's server ended with {child.returncode}: {_why(said)}", f"see {log}")
        if time.monotonic() > deadline:
            raise JobError(f"llama.cpp's server did not come up in {START_S:.0f} s", f"see {log}")
        time.sleep(_POLL_S)


def _why(said: str) -> str:
    """The first error of its log, else its last line: what comes after an error only says that there was one."""
    error = re.search(r"^.*?\berror\b[^:\n]*: *(?P<why>\S.*)$", said, re.MULTILINE | re.IGNORECASE)
    if error:
        return error["why"].strip()
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")


def _healthy(url: str) -> bool:
    """Whether the model is loaded; no proxy is asked about this machine."""
    try:
        with build_opener(ProxyHandler({})).open(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _end(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.close()
    child.terminate()
    try:
        child.wait(_END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
