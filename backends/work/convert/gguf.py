"""A checkpoint as GGUF: the text model, quantised, and its vision part beside it, by llama.cpp's own tools."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from backends.jobs.job import Job, JobError
from backends.jobs.llama_cpp import CONVERTER, QUANTISER, SERVER, needs_quantiser
from backends.models.prompts import image_margins
from backends.models.transformers_loader import load_processor
from backends.work.common import sync_folder
from backends.work.convert.exported import Exported
from backends.work.convert.llama_server import serving
from backends.work.training.keep import sync_files
from backends.worker import say

_TAIL = 30
_PYTHON = (sys.executable, "-P", "-m", "backends.work.convert.script")
_MISSING = "`fada doctor` says which tools there are"


def export(job: Job, whole: Path) -> Exported:
    """Convert the checkpoint in ``whole``. The vision part is never quantised: it is small, and it sees.

    Raises:
        JobError: One of the tools failed; the log has what it said.
    """
    wanted = job.spec["convert"]
    tools, quant = wanted["tools"], str(wanted["quant"])
    stem = re.sub(r"[^\w.-]+", "-", str(job.spec["model"].get("name") or "model")).strip("-") or "model"
    work = job.dir / "gguf.tmp"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    text, vision = work / f"{stem}-{quant}.gguf", work / f"mmproj-{stem}-f16.gguf"
    if needs_quantiser(quant):
        sixteen = work / "16-bit.gguf"
        _convert(tools, whole, sixteen, "auto")
        _run("the quantiser", [*_tool(tools, QUANTISER), str(sixteen), str(text), quant.upper(), _threads(job)])
        sixteen.unlink()
    else:
        _convert(tools, whole, text, quant)
    _convert(tools, whole, vision, "f16", "--mmproj")
    sync_files(work)
    files = tuple(path.replace(job.dir / path.name) for path in (text, vision))
    work.rmdir()
    sync_folder(job.dir)
    server = tools.get(SERVER)
    if not server:
        return Exported(files, None, "no llama.cpp server is on this machine")
    margins = image_margins(load_processor(str(whole), None))
    return Exported(files, lambda: serving(job, server, *files), margins=margins)


def _convert(tools: dict[str, list[str]], whole: Path, into: Path, outtype: str, *more: str) -> None:
    command = [*_PYTHON, *_tool(tools, CONVERTER), str(whole), "--outfile", str(into), "--outtype", outtype]
    _run("llama.cpp's converter", [*command, *more])
    if not into.is_file():
        raise JobError(f"llama.cpp's converter left no {into.name}", "the log has what it said")


def _tool(tools: dict[str, list[str]], name: str) -> list[str]:
    command = tools.get(name) or []
    if not command or not Path(command[0]).is_file():
        raise JobError(f"llama.cpp's {name} is not there any more: {' '.join(command) or 'none named'}", _MISSING)
    return command


def _threads(job: Job) -> str:
    return str(int(job.spec.get("threads") or 1))


def _run(what: str, command: Sequence[str]) -> None:
    """What it prints goes to the log; its last line says why it failed.

    Raises:
        JobError: It ended with another exit status than 0.
    """
    say(" ".join(command))
    tail: deque[str] = deque(maxlen=_TAIL)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            print(line, end="", flush=True)
            if line.strip():
                tail.append(line.strip())
    if child.returncode:
        why = tail[-1] if tail else "it said nothing"
        raise JobError(f"{what} ended with {child.returncode}: {why}", "the log has all that it said")
