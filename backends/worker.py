"""Runs one job: ``python -P -m backends.worker --home HOME --run ID``.

What it prints is the run's log; what it has to say goes to the run's event file. It is ended by signals from
outside and needs no clean-up: every file that counts is written whole or line by line.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from backends.data.errors import DataError
from backends.jobs.events import EventWriter
from backends.jobs.job import Job, JobError
from backends.jobs.outofmemory import with_batch
from backends.jobs.store import Control, read_control
from db.home import Home

DONE, FAILED = 0, 1
# The last one is all that oneDNN says when it cannot map memory for its code; with "descriptor" behind, it is another.
_NO_MEMORY = re.compile(
    r"can't allocate memory|out of memory|CUBLAS_STATUS_ALLOC_FAILED|could not create a primitive(?! desc)"
)
_NO_MEMORY_HINT = "take a smaller batch, fewer tokens or a smaller model"


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0: the job wrote `finished`. 1: it wrote `failed`, or there is no such job."""
    parser = argparse.ArgumentParser(prog="backends.worker", description="Runs one job.")
    parser.add_argument("--home", required=True, type=Path, help="the folder under which everything lies")
    parser.add_argument("--run", required=True, type=int, help="id of the run")
    parser.add_argument("--attempt", type=int, default=1, help="number of the attempt, from 1")
    arguments = parser.parse_args(argv)
    home = Home(arguments.home.absolute())
    folder = home.run_dir(arguments.run)
    try:
        spec = for_attempt(json.loads((folder / "spec.json").read_text(encoding="utf-8")), read_control(folder))
        events = EventWriter(folder / "events.jsonl")
    except (OSError, ValueError) as error:
        print(f"{folder}: cannot be run: {error}", file=sys.stderr)
        return FAILED
    os.environ.update(environment(spec, os.environ))
    if (spec.get("model") or {}).get("environment"):
        # The copy of its code that transformers runs lies with the run: no other model's code is ever taken for it.
        os.environ["HF_MODULES_CACHE"] = str(folder / "code")
    if spec.get("task") not in ("phantoms", "download"):
        # Answers on patients, weights that saw them: whoever makes the file, only its owner reads it. Phantoms are
        # made into any folder and are nobody's secret; a cache of the hub may be shared.
        os.umask(0o077)
    with closing(events):
        return run(Job(home, arguments.run, arguments.attempt, spec, events))


def for_attempt(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """The frozen spec, but for a batch that is smaller since memory ran out, and a budget that was raised."""
    if control.batch is not None:
        spec = with_batch(spec, control.batch)
    if control.budget and spec.get("server"):
        spec = {**spec, "server": {**spec["server"], **control.budget}}
    return spec


def run(job: Job) -> int:
    """Do the job; its end is the last event."""
    from backends.models.unsloth_import import import_first
    from backends.work import work_function

    say(f"run {job.run_id}, attempt {job.attempt}: {job.spec['kind']} {_subject(job.spec)}")
    import_first(job.spec, job.dir)
    try:
        summary = work_function(job.spec)(job)
    except (JobError, DataError) as error:
        traceback.print_exc()
        job.events.failed(type(error).__name__, str(error), error.hint)
    except Exception as error:  # noqa: BLE001 - the one place where whatever went wrong becomes the job's end
        traceback.print_exc()
        if out_of_memory(error):
            job.events.failed("out_of_memory", _first_line(error), _NO_MEMORY_HINT)
        else:
            job.events.failed(type(error).__name__, _first_line(error), "the log has the traceback")
    else:
        job.events.finished(**summary)
        say("finished: " + ", ".join(f"{key} {value}" for key, value in summary.items()))
        return DONE
    return FAILED


def say(text: str) -> None:
    """A line of the log, with the time of day."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _subject(spec: Mapping[str, Any]) -> str:
    model, data = spec.get("model") or {}, spec.get("data") or {}
    words = [spec.get("title"), model.get("name"), model.get("source"), data.get("path") and f"on {data['path']}"]
    return " ".join(word for word in words if word)


def environment(spec: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """What must be set before torch and transformers are imported. A user's own hub settings are kept.

    Threads come from the spec: more than one a job, and jobs that share a machine slow each other down many times.
    """
    threads = str(spec.get("threads") or 1)
    changes = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    changes["TOKENIZERS_PARALLELISM"] = "false"
    changes["HF_HUB_DISABLE_TELEMETRY"] = "1"
    changes["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    # What hf_xet has fetched of a file is lost with its process; plain requests go on from there.
    changes["HF_HUB_DISABLE_XET"] = given.get("HF_HUB_DISABLE_XET") or "1"
    source = (spec.get("model") or {}).get("source")
    fetches = spec.get("task") == "download"
    if not fetches and (source is None or spec.get("server") or Path(source).is_absolute()):
        changes["HF_HUB_OFFLINE"] = changes["TRANSFORMERS_OFFLINE"] = given.get("HF_HUB_OFFLINE") or "1"
    return changes


def out_of_memory(error: BaseException) -> bool:
    """True where memory of the card or the host ran out, also behind another exception."""
    seen: BaseException | None = error
    while seen is not None:
        # torch need not be loaded; its CPU allocator raises a plain RuntimeError.
        if isinstance(seen, MemoryError) or type(seen).__name__ == "OutOfMemoryError":
            return True
        if isinstance(seen, RuntimeError) and _NO_MEMORY.search(str(seen)):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
