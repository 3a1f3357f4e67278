"""`fada gpu`: the machine now, recorded, played back, and as a table of what was."""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fada_tui.cli.context import Context
from fada_tui.cli.errors import CommandError, UsageError
from fada_tui.cli.output import table
from fada_tui.format import NA, count, percent, size, size_pair
from fada_tui.text import printable

if TYPE_CHECKING:
    from backends.telemetry.sample import Gpu, Telemetry
    from fada_tui.cli import Verbs

WATCH_S = 1.0
_FIRST_S = 0.1
"""A processor's share needs two readings."""
_DAY_S = 86400.0
_COLUMNS = (
    "time", "gpu", "name", "utilisation", "memory_used", "memory_total", "power_w", "temperature_c", "clock_mhz",
    "fan", "throttle", "cpu", "ram_used", "ram_total", "runs",
)  # fmt: skip


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    gpu = verbs.add_parser("gpu", parents=[shared], help="one telemetry sample of card and host; records of them")
    one = gpu.add_mutually_exclusive_group()
    one.add_argument("-w", "--watch", action="store_true", help="one line a second until Ctrl+C")
    one.add_argument("--record", metavar="FILE", help="a sample a second into a file until Ctrl+C")
    one.add_argument("--replay", metavar="FILE", help="print such a file; --panel opens the panel on it")
    one.add_argument("--export", metavar="FILE", help="what the queue recorded, as .csv, .json or .jsonl (a record)")
    gpu.add_argument("--since", metavar="TIME", help="with --export: how far back, such as 8h or 7d (1d)")
    gpu.add_argument("--panel", action="store_true", help="with --replay: the panel on the record")
    gpu.add_argument("--speed", type=float, metavar="N", help="with --panel: recorded seconds played in one (1)")
    gpu.set_defaults(handler=show_gpu)


def show_gpu(args: argparse.Namespace, context: Context) -> int | None:
    """One sample, or what the options ask for.

    Raises:
        UsageError: Options that do not belong together, or a file that is none.
    """
    if args.since and not args.export:
        raise UsageError("--since belongs to --export", hint="fada gpu --export night.csv --since 8h")
    if (args.panel or args.speed is not None) and not args.replay:
        raise UsageError("--panel and --speed belong to --replay", hint="fada gpu --replay FILE --panel")
    if args.speed is not None and not 0 < args.speed <= 10_000:
        raise UsageError("--speed is above 0 and at most 10000")
    if args.replay:
        return _replay(args, context)
    if args.export:
        _export(Path(args.export).expanduser(), args.since, context)
        return None
    if args.record:
        _record(Path(args.record).expanduser(), context)
        return None
    from backends.telemetry.codec import to_dict

    with contextlib.suppress(KeyboardInterrupt):
        for sample in _samples(context):
            if not args.watch:
                context.emit(to_dict(sample) | _known(context, sample), partial(sample_text, sample))
                break
            sys.stdout.write((json.dumps(to_dict(sample)) if context.json else sample_line(sample)) + "\n")
            sys.stdout.flush()
    return None


def _samples(context: Context) -> Iterator[Telemetry]:
    """A sample a second."""
    from backends.telemetry.sampler import Sampler

    with Sampler(context.home) as sampler:
        sampler.sample(_live_runs(context))
        time.sleep(_FIRST_S)
        due = time.monotonic()
        while True:
            yield sampler.sample(_live_runs(context))
            due = max(due + WATCH_S, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))


def _live_runs(context: Context) -> dict[int, int]:
    """Each live run's worker; none where the index cannot be read (telemetry is shown all the same)."""
    from backends.jobs.reconcile import worker_pids

    with contextlib.suppress(CommandError, sqlite3.Error):
        return worker_pids(context.runs, context.home)
    return {}


def _known(context: Context, sample: Telemetry) -> dict[str, Any]:
    """What was recorded besides: the driver's errors of a day, the alerts that are up, whose the memory is."""
    from dataclasses import asdict

    from backends.jobs.alarms import read_state
    from backends.telemetry.owners import shares
    from db.runs.telemetry import events_since

    events: list[dict[str, Any]] = []
    with contextlib.suppress(CommandError, sqlite3.Error):
        events = events_since(context.runs, sample.time - _DAY_S)
    fresh = [asdict(xid) for xid in sample.xids]
    owners = {gpu.index: asdict(found) for gpu in sample.gpus if (found := shares(gpu)) is not None}
    alerts = [asdict(alert) for alert in read_state(context.home)[0]]
    return {"xids": events + [xid for xid in fresh if xid not in events], "alerts": alerts, "owners": owners}


def _record(path: Path, context: Context) -> None:
    from fada_tui.sources.record import open_record, write_sample

    number = 0
    with open_record(path) as file, contextlib.suppress(KeyboardInterrupt):
        if not context.json:
            sys.stderr.write(f"recording into {printable(str(path))} until Ctrl+C\n")
        for sample in _samples(context):
            try:
                write_sample(file, sample)
            except OSError as error:
                raise CommandError(f"the record ends here: {error.strerror}", str(path), "is the disk full?") from error
            number += 1
    context.emit({"file": str(path), "samples": number}, f"{path}: {count(number, 'sample')}")


def _replay(args: argparse.Namespace, context: Context) -> int | None:
    from dataclasses import asdict

    from backends.telemetry.codec import to_dict
    from backends.telemetry.hindsight import looked_back
    from backends.telemetry.rules import alerts_of
    from backends.telemetry.symptoms import read_wishes
    from fada_tui.sources.record import read_record

    path = Path(args.replay).expanduser()
    record = read_record(path)
    if args.panel:
        from fada_tui.cli.panel import open_panel

        return open_panel(args, context, replay=path, speed=args.speed or 1.0)
    found = looked_back(record.samples, read_wishes(context.home.config).limits)
    if context.json:
        up = ((sample, [asdict(alert) for alert in alerts_of(step.known)]) for sample, step in found)
        context.emit([to_dict(sample) | {"alerts": alerts} for sample, alerts in up], "")
        return None
    for sample, step in found:
        sys.stdout.write(time.strftime("%Y-%m-%d ", time.localtime(sample.time)) + sample_line(sample) + "\n")
        for sign, alerts in (("⚠", step.raised), ("over:", step.cleared)):
            sys.stdout.write("".join(f"{sign} {printable(alert.text)}\n" for alert in alerts))
    if record.torn:
        sys.stderr.write(f"{count(record.torn, 'line')} of {printable(str(path))} could not be read\n")
    return None


def _export(path: Path, since: str | None, context: Context) -> None:
    from backends.jobs.limits import read_time
    from db.atomic import replace_file

    try:
        back = float(read_time(since or "1d"))
    except ValueError as error:
        raise UsageError(str(error), "--since") from error
    makers = {".csv": _as_csv, ".json": _as_json, ".jsonl": _as_record}
    maker = makers.get(path.suffix.lower())
    if maker is None:
        raise UsageError("the file's name says what it is to be: .csv, .json or .jsonl", str(path))
    documents = list(_recorded(context.runs, time.time() - back))
    if not documents:
        raise CommandError(
            "nothing was recorded in this time", hint="samples are kept while jobs run; or --record FILE"
        )
    try:
        replace_file(path, maker(documents).encode())
    except OSError as error:
        raise CommandError(f"could not be written: {error.strerror}", str(path), "is the disk full?") from error
    context.emit({"file": str(path), "samples": len(documents)}, f"{path}: {count(len(documents), 'sample')}")


def _recorded(conn: sqlite3.Connection, since: float) -> Iterator[dict[str, Any]]:
    """Whole samples as far back as they are kept, and minutes before that, oldest first."""
    from db.runs.telemetry import HOST, minutes_between, oldest_body, samples_since

    first = oldest_body(conn)
    if first is None or first > since:
        minutes: dict[float, dict[str, Any]] = {}
        for span in minutes_between(conn, since, (first or time.time()) - 60):
            one = minutes.setdefault(span.start, {"time": span.start, "gpus": [], "host": {}, "minute": True})
            part = {"memory_used": span.memory_used, "memory_total": span.memory_total}
            if span.gpu == HOST:
                one["host"] = part | {"cpu": span.utilisation, "cores": 0}
            else:
                card = {"index": span.gpu, "name": f"GPU {span.gpu}", "uuid": "", "utilisation": span.utilisation}
                one["gpus"].append(card | part | {"power_w": span.power_w, "temperature_c": span.temperature_c})
        yield from minutes.values()
    yield from samples_since(conn, since)


def _as_json(documents: list[dict[str, Any]]) -> str:
    return json.dumps(documents, indent=1) + "\n"


def _as_record(documents: list[dict[str, Any]]) -> str:
    from fada_tui.sources.record import write_document, write_header

    file = io.StringIO()
    write_header(file)
    for document in documents:
        write_document(file, document)
    return file.getvalue()


def _as_csv(documents: list[dict[str, Any]]) -> str:
    """A row a card and sample; on a machine without one, a row a sample."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for document in documents:
        host = document["host"]
        runs = " ".join(str(job["run"]) for job in host.get("jobs", ()))
        for gpu in document["gpus"] or [{}]:
            row = gpu | {
                "time": f"{document['time']:.3f}",
                "gpu": gpu.get("index"),
                "throttle": "; ".join(gpu.get("throttle", ())),
                "cpu": host.get("cpu"),
                "ram_used": host.get("memory_used"),
                "ram_total": host.get("memory_total"),
                "runs": runs,
            }
            writer.writerow(["" if row.get(name) is None else row[name] for name in _COLUMNS])
    return file.getvalue()


def sample_line(sample: Telemetry) -> str:
    """A sample in one line."""
    host = sample.host
    cards = [f"GPU {gpu.index} {_readings(gpu)}" for gpu in sample.gpus] or [printable(sample.reason or "no GPU")]
    errors = "".join(f" | GPU {xid.gpu} Xid {xid.code}" for xid in sample.xids)
    memory = size_pair(host.memory_used, host.memory_total)
    moment = time.strftime("%H:%M:%S", time.localtime(sample.time))
    return f"{moment}  {' | '.join(cards)}{errors} | CPU {percent(host.cpu)}  RAM {memory}"


def _readings(gpu: Gpu) -> str:
    if gpu.reason:
        return printable(gpu.reason)
    power = NA if gpu.power_w is None else f"{gpu.power_w:.0f} W"
    degrees = NA if gpu.temperature_c is None else f"{gpu.temperature_c:.0f} °C"
    return f"{percent(gpu.utilisation)}  {size_pair(gpu.memory_used, gpu.memory_total)}  {power}  {degrees}"


def sample_text(sample: Telemetry) -> str:
    """A sample for reading, with what is n/a and why."""
    lines = []
    for gpu in sample.gpus:
        lines += _card_text(gpu)
    if sample.reason:
        lines.append(f"no GPU to show: {printable(sample.reason)}")
    host = sample.host
    lines.append(
        f"host   CPU {percent(host.cpu)} of {host.cores} cores  RAM {size_pair(host.memory_used, host.memory_total)}"
        f"  disk free {size(host.disk_free)}"
    )
    lines += [f"       run #{job.run} holds {size(job.memory)} of RAM" for job in host.jobs]
    return "\n".join(lines)


def _card_text(gpu: Gpu) -> list[str]:
    lines = [f"GPU {gpu.index}  {printable(gpu.name)}  {_readings(gpu)}"]
    if gpu.throttle:
        lines.append(f"       held down by: {', '.join(gpu.throttle)}")
    lines += [
        f"       MIG {part.index}  {printable(part.name)}  {size_pair(part.memory_used, part.memory_total)}"
        for part in gpu.mig
    ]
    by_reason: dict[str, list[str]] = {}
    for name, reason in gpu.missing.items():
        by_reason.setdefault(reason, []).append(name)
    lines += [f"       {NA}: {', '.join(names)} ({printable(reason)})" for reason, names in by_reason.items()]
    rows = [
        (process.pid, size(process.memory), process.user or NA, f"#{process.run}" if process.run else "")
        for process in gpu.processes
    ]
    if rows:
        lines.append(table(("pid", "memory", "user", "run"), rows, right=(0, 1)))
    return lines
