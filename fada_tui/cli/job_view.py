"""One run as `fada job` shows it, and its shape in `fada jobs --json`."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from db.runs.rows import Run
from fada_tui.cli.context import Context
from fada_tui.cli.errors import UsageError
from fada_tui.cli.reconciling import tick
from fada_tui.cli.scoretext import score_lines
from fada_tui.format import NA, size
from fada_tui.text import printable

if TYPE_CHECKING:
    from backends.jobs.peaks import Energy


def as_document(run: Run) -> dict[str, Any]:
    """The shape of `fada jobs --json`."""
    keys = ("id", "kind", "task", "model", "state", "reason", "exit_code", "signal", "attempt", "created")
    document = {key: getattr(run, key) for key in keys} | {"started": run.started, "ended": run.ended}
    document["progress"] = {"done": run.done, "total": run.total, "unit": run.unit}
    document["after"] = list(run.after)
    for key in ("reserved_bytes", "peak_bytes", "run_dir", "fingerprint"):
        document[key] = getattr(run, key)
    return document | {"tags": list(run.tags), "note": run.note, "archived": run.archived}


def show_job(args: argparse.Namespace, context: Context) -> None:
    from backends.jobs.peaks import total_energy
    from backends.jobs.reservation import source_text
    from backends.jobs.store import read_control
    from db.runs.queries import run_detail, said_once, scores

    tick(context)
    detail = run_detail(context.runs, args.id)
    if detail is None:
        raise no_run(args.id)
    found = scores(context.runs, args.id, overall_only=True)
    metrics = {
        name: {"last": item.last, "count": item.count, "min": item.min, "max": item.max}
        for name, item in detail.metrics.items()
    }
    said = [asdict(message) for message in detail.messages]
    document = {**as_document(detail.run), "spec": detail.spec, "metrics": metrics, "messages": said}
    source = source_text(detail.spec, read_control(context.home.run_dir(args.id)))
    document["reservation"] = {"bytes": detail.run.reserved_bytes, "source": source}
    energy = total_energy(context.home.run_dir(args.id), detail.run.attempt)
    document["energy"] = None if energy is None else {"joules": energy.joules, "whole_card": energy.whole}

    def text() -> str:
        run = detail.run
        lines = [
            f"#{run.id} {run.task or run.export or run.kind} {run.label}: {run.state}"
            + (f" ({run.reason})" if run.reason else ""),
            f"attempt {run.attempt}, reserved {_reserved(run, source)}, peak {size(run.peak_bytes)}",
            f"energy {_energy(energy)}",
            f"directory {run.run_dir}",
            *([f"tags {', '.join(run.tags)}"] if run.tags else []),
            *([f"note {run.note}"] if run.note else []),
            *_spec_lines(detail.spec),
        ]
        lines += score_lines([score for score in found if not score.partial])
        lines += [f"{name}: last {item.last:.4g}, {item.count} values" for name, item in detail.metrics.items()]
        lines += [f"{message.level}: {message.text}" for message in said_once(detail.messages)[-20:]]
        return "\n".join(printable(line) for line in lines)

    context.emit(document, text)


def _energy(energy: Energy | None) -> str:
    """``41.3 Wh``; what could not be told apart from others' on the card is said to be the card's."""
    if energy is None:
        return NA
    return f"{energy.joules / 3600:.3g} Wh" + (" (of the whole card)" if energy.whole else "")


def _reserved(run: Run, source: str | None) -> str:
    """``18.2 GiB (seen in #12)``."""
    return size(run.reserved_bytes) + (f" ({source})" if run.reserved_bytes and source else "")


def _spec_lines(spec: dict[str, Any]) -> list[str]:
    """What was asked for, as far as this kind of run has it."""
    from backends.jobs.limits import clock_text, max_seconds

    data, model, training = spec.get("data") or {}, spec.get("model") or {}, spec.get("training") or {}
    lines = []
    most = max_seconds(spec)
    if most is not None:
        lines.append(f"maximum run time {clock_text(most)}, pauses left out")
    if spec.get("command"):
        lines.append(f"command {shlex.join(spec['command'])}")
    if model:
        left = f" with what #{model['from_run']} left" if model["from_run"] else ""
        lines.append(f"model {model['source'] or model.get('name')}{left}")
    if model.get("environment"):
        from backends.jobs.remote_code import words_of

        code = model.get("remote_code")
        lines.append(f"environment {model['environment']}, {words_of(code) if code else 'no code of its own'}")
    if data:
        limit = f", {data['limit']} of them" if data.get("limit") else ""
        lines.append(f"data {data['path']} ({data['samples']} questions{limit}), images in {data['image_root']}")
        lines += [f"⚠ {text}" for text in data.get("problems") or ()]
    if training:
        shown = {
            key: value for key, value in training.items() if value is not None and key not in ("eval_data", "lora")
        }
        lines.append("training " + ", ".join(f"{key} {value}" for key, value in shown.items()))
        if training.get("eval_data"):
            lines.append(f"held-out {training['eval_data']['path']}")
    return lines


def no_run(run_id: int) -> UsageError:
    return UsageError(f"there is no run #{run_id}", hint="`fada jobs` lists them")
