"""From what a person asks of an export to a spec in the queue: the route, the tools and the data are checked first."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backends.catalog.export import SAID, TARGETS, Route, routes
from backends.catalog.reader import USER_FILE, load_catalog
from backends.jobs.asked import ConvertAsked
from backends.jobs.downloads import pinned
from backends.jobs.engines.config import engine_part
from backends.jobs.errors import QueueError
from backends.jobs.ingest import ingest
from backends.jobs.launch import EMBEDDING, checked_data, common_parts, data_part, model_part, reserved, resolve
from backends.jobs.llama_cpp import HINTS, SERVER, find_tools, need_tools
from backends.jobs.settings import GENERATION
from backends.jobs.store import read_spec
from backends.jobs.submit import need, submit
from db.connect import connect
from db.home import Home
from db.runs.rows import Run

QUANTS = ("q4_k_m", "q8_0", "f16")
PACKAGES = {"gguf": ("sentencepiece",), "onnx": ("onnx", "onnxruntime", "onnxscript")}
"""What an export imports beside what a fine-tune does: llama.cpp's converter, transformers' exporter."""
_LEFT = ("adapter", "model")


@dataclass(frozen=True)
class Subject:
    """What is exported: the ``model`` part of a spec, and what is known of it."""

    model: dict[str, Any]
    routes: Mapping[str, Route]
    run: Run | None = None
    """The run that left it."""
    data: Mapping[str, Any] | None = None
    """What it is checked on, unless something else is named: path and image root."""


def enqueue_convert(home: Home, what: str | int, **wanted: Any) -> int:
    """Queue an export; what is wanted is that of :class:`ConvertAsked`, the errors are those of its plan."""
    return submit(home, plan_convert(home, what, ConvertAsked(**wanted)))


def plan_convert(home: Home, what: str | int, asked: ConvertAsked) -> dict[str, Any]:
    """The parts of an export's spec, everything checked and nothing queued.

    Args:
        what: A run that left weights, or a model as everywhere else.

    Raises:
        QueueError: No such run or model, no route to that target, a tool is missing, or it can never fit.
    """
    _check_asked(asked)
    quant = _quant(asked.to, asked.quant)
    subject = find_subject(home, what)
    _check_route(subject, asked.to)
    where = engine_part(home, asked.engine)
    tools = _tools(home, quant, asked.engine if where else None) if asked.to == "gguf" else {}
    _need_packages(asked.to)
    return reserved(
        home,
        {
            "kind": "convert",
            "task": None,
            "model": subject.model if subject.run else _pinned_part(home, str(what), asked.allow_pickle),
            "convert": {"to": asked.to, "quant": quant, "check": asked.check, "tools": tools},
            "data": _data(subject, asked),
            "generation": {**GENERATION, "batch_size": 8},
            "training": None,
            "scoring": {"embedding": EMBEDDING},
            **where,
            **common_parts(_after_its_run(subject, asked)),
        },
    )


def find_subject(home: Home, what: str | int) -> Subject:
    """The run or model that is meant; a model's commit is not looked up.

    Raises:
        QueueError: There is none, or it left nothing to export.
    """
    text = str(what).strip().removeprefix("#")
    return _of_run(home, int(text)) if text.isdigit() else _of_model(home, text)


def notices(home: Home, parts: Mapping[str, Any]) -> list[str]:
    """What a person should know before it is queued: where the exported file will not be checked, and why."""
    if not parts["convert"]["check"]:
        return ["the exported file will not be checked (--check 0)"]
    if parts["data"] is None:
        return ["the exported file will not be checked: no questions are known; --data FILE.jsonl names some"]
    if parts["convert"]["to"] == "gguf" and not find_tools(home)[SERVER].found:
        return [f"the exported file will not be checked: no llama.cpp server is on this machine ({HINTS[SERVER]})"]
    return []


def _check_asked(asked: ConvertAsked) -> None:
    """What is wrong whatever is exported."""
    if asked.to not in TARGETS:
        raise QueueError(f"there is no export {asked.to!r}", hint=f"known: {', '.join(TARGETS)}")
    if asked.check < 0:
        raise QueueError(f"--check {asked.check}: a number of questions cannot be negative", hint="0 checks nothing")


def _check_route(subject: Subject, to: str) -> None:
    """That there is a way from it to that file; else which others there are."""
    route = subject.routes[to]
    if route.why_not is not None:
        others = [SAID[name] for name, one in subject.routes.items() if one.why_not is None and name != to]
        ready = f"ready-made, of the published model: {route.ready}; " if route.ready else ""
        hint = f"{ready}what can be made of it: {', '.join(others) or 'nothing here'}"
        raise QueueError(f"{subject.model['name']}: {route.words()}", hint=hint)
    if to == "merged" and subject.run is None:
        raise QueueError(f"{subject.model['name']} has no adapter: it is whole as it is", hint="name a fine-tune run")


def _tools(home: Home, quant: str | None, engine: str | None) -> dict[str, list[str]]:
    """llama.cpp's, which are those of this machine."""
    if engine:
        raise QueueError(f"a GGUF is made on this machine, not on {engine}", hint="leave out --engine; --to merged can")
    return {name: list(tool.command) for name, tool in need_tools(home, str(quant)).items() if tool.found}


def _after_its_run(subject: Subject, asked: ConvertAsked) -> ConvertAsked:
    """A run that is not over is waited for."""
    run = subject.run
    return asked if run is None or run.is_over else replace(asked, after=dict.fromkeys([*asked.after, run.id]))


def _quant(to: str, quant: str | None) -> str | None:
    if to != "gguf":
        if quant is not None:
            raise QueueError(
                f"--quant is of a GGUF: {SAID[to]} keeps the checkpoint's own numbers", hint="leave it out"
            )
        return None
    if quant is not None and quant.lower() not in QUANTS:
        raise QueueError(f"there is no quantisation {quant!r} here", hint=f"known: {', '.join(QUANTS)}")
    return (quant or QUANTS[0]).lower()


def _of_run(home: Home, run_id: int) -> Subject:
    with closing(connect(home.runs_db)) as conn:
        ingest(conn, home, run_id)
        run = need(conn, run_id)
    spec = read_spec(home.run_dir(run_id)) or {}
    merged = run.kind == "convert" and (spec.get("convert") or {}).get("to") == "merged"
    if not (run.kind == "finetune" or merged) or not spec.get("model"):
        raise QueueError(f"run #{run_id} ({run.kind}) left no weights", hint="take a fine-tune, or what was merged")
    if run.is_over and not any((home.run_dir(run_id) / name).is_dir() for name in _LEFT):
        words = f"run #{run_id} is {run.state} and left neither adapter/ nor model/"
        raise QueueError(words, hint=f"`fada resume {run_id}` goes on with a fine-tune")
    model = {key: value for key, value in spec["model"].items() if key not in ("precision", "quantisation")}
    # What it was trained in does not matter here: the weights are merged as the checkpoint has them.
    model |= {"from_run": run_id, "parent": run.fingerprint, "loader": "transformers"}
    held_out = (spec.get("training") or {}).get("eval_data") or (spec.get("data") if merged else None)
    return Subject(model, _routes(home, model), run, held_out)


def _of_model(home: Home, name: str) -> Subject:
    entry = load_catalog(home.root / USER_FILE).find(name)
    if entry is not None:
        closed = routes(entry.repo or "", entry)
        if all(route.why_not is not None for route in closed.values()):
            return Subject({"name": entry.name, "source": entry.repo or ""}, closed)
    resolved = resolve(home, name)
    found = _routes(home, {"source": resolved.source, "name": resolved.tracker_name or resolved.name})
    return Subject({"name": resolved.tracker_name or resolved.name, "source": resolved.source}, found)


def _pinned_part(home: Home, name: str, allow_pickle: bool) -> dict[str, Any]:
    resolved = pinned(resolve(home, name.strip()), allow_pickle=allow_pickle, home=home)
    return model_part(home, resolved, None, None, allow_pickle)


def _routes(home: Home, model: Mapping[str, Any]) -> dict[str, Route]:
    catalog = load_catalog(home.root / USER_FILE)
    source = str(model["source"])
    return routes(source, catalog.find(source) or catalog.find(str(model.get("name") or "")))


def _data(subject: Subject, asked: ConvertAsked) -> dict[str, Any] | None:
    """What it is checked on. What a fine-tune held out may be gone by now: then it is not checked."""
    if not asked.check:
        return None
    data, root = asked.data, asked.image_root
    if data is None:
        known = subject.data
        if not known or not Path(known["path"]).is_file():
            return None
        data, root = known["path"], known.get("image_root")
    return data_part(checked_data(data, root, None, "gt"), asked.check)


def _need_packages(to: str) -> None:
    missing = [name for name in PACKAGES.get(to, ()) if find_spec(name) is None]
    if missing:
        raise QueueError(
            f"{SAID[to]} needs {', '.join(missing)}, not installed here", hint=f"pip install 'fada-tui[{to}]'"
        )
