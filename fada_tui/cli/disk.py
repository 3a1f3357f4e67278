"""Room on the disk: disk, prune."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fada_tui.cli.context import Context
from fada_tui.cli.errors import UsageError
from fada_tui.cli.output import table
from fada_tui.cli.queueing import asking
from fada_tui.cli.reconciling import tick
from fada_tui.format import size

if TYPE_CHECKING:
    from backends.jobs.disk import DiskUse, RunUse
    from db.runs.rows import Run
    from fada_tui.cli import Verbs

SHOWN = 20


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    disk = verbs.add_parser("disk", parents=[shared], help="what lies on the disk, by kind and by run")
    disk.add_argument("--all", action="store_true", help=f"every run, not only the {SHOWN} largest")
    disk.set_defaults(handler=show_disk)
    prune = verbs.add_parser("prune", parents=[shared], help="remove checkpoints of fine-tunes that are over")
    prune.add_argument("ids", type=int, nargs="*", metavar="ID", help="only these runs (all)")
    prune.add_argument("--keep", default="best,last", metavar="WHICH", help="best,last (as it is), best, last or none")
    prune.add_argument("--dry-run", action="store_true", help="say what would go, remove nothing")
    prune.set_defaults(handler=prune_checkpoints)


def show_disk(args: argparse.Namespace, context: Context) -> None:
    """Bytes by kind and by run, and what could be freed."""
    from backends.jobs.disk import disk_use
    from backends.telemetry.host import disk_free
    from db.runs.queries import list_runs

    tick(context)
    use = disk_use(context.runs, context.home)
    runs = {run.id: run for run in list_runs(context.runs)}
    free = disk_free(context.home.root)
    document = {
        "total": use.total,
        "free": free,
        "kinds": use.kinds,
        "prunable": use.prunable,
        "runs": [_as_document(one, runs.get(one.run)) for one in use.runs],
    }
    context.emit(document, lambda: _text(use, runs, free, None if args.all else SHOWN))


def _as_document(use: RunUse, run: Run | None) -> dict[str, Any]:
    known = {key: getattr(run, key) if run else None for key in ("kind", "task", "model", "state")}
    return {"id": use.run, **known, "bytes": use.total, "kinds": use.kinds, "prunable": use.prunable}


def _text(use: DiskUse, runs: dict[int, Run], free: int | None, limit: int | None) -> str:
    parts = [table(("what", "on disk"), [*((kind, size(taken)) for kind, taken in use.kinds.items())], right=(1,))]
    parts.append(f"in all {size(use.total)}, free {size(free)}")
    rows = []
    for one in use.runs[:limit]:
        run = runs.get(one.run)
        held = ", ".join(
            f"{kind} {size(taken)}" for kind, taken in sorted(one.kinds.items(), key=lambda kv: -kv[1])[:3]
        )
        who = (run.task or run.kind, run.label, run.state) if run else ("", "", "not a run")
        rows.append((f"#{one.run}", *who, size(one.total), held))
    if rows:
        parts += ["", table(("run", "kind", "model", "state", "on disk", "of it"), rows, right=(0, 4), limits={2: 40})]
    if limit is not None and len(use.runs) > limit:
        parts.append(f"… and {len(use.runs) - limit} smaller ones (--all)")
    if use.prunable:
        of_what = "checkpoints of fine-tunes that are over, but best and last"
        if use.left:
            of_what += f", and {size(use.left)} that was left by a removal or a queueing that was killed"
        parts.append(f"`fada prune` would free {size(use.prunable)}: {of_what}")
    if rows:
        parts.append("`fada rm ID` frees what stands in its line")
    return "\n".join(parts)


def prune_checkpoints(args: argparse.Namespace, context: Context) -> None:
    """Remove checkpoints of fine-tunes that are over, but those to keep; a run can be resumed from what stays."""
    from backends.jobs.disk import left_bytes, parse_keep, prunable_bytes, prune, sweep
    from db.connect import connect
    from db.runs.queries import list_runs

    with asking():
        keep = parse_keep(args.keep)
    tick(context)
    known = {run.id for run in list_runs(context.runs)}
    if strangers := set(args.ids) - known:
        raise UsageError(f"there is no run #{min(strangers)}", hint="`fada jobs` lists them")
    freed: dict[int, int] = {}
    # On a full disk nothing can be written, but what is to go can be read.
    runs = connect(context.home.runs_db, read_only=True) if context.look_only else context.runs
    for run_id in args.ids or sorted(known):
        if args.dry_run:
            freed[run_id] = prunable_bytes(context.runs, context.home, run_id, keep)
        else:
            freed[run_id] = prune(runs, context.home, run_id, keep)
    freed = {run_id: taken for run_id, taken in freed.items() if taken}
    left = 0 if args.ids else left_bytes(context.home) if args.dry_run else sweep(context.home)
    word = "would free" if args.dry_run else "freed"
    changed = [f"#{run_id}: {word} {size(taken)}" for run_id, taken in freed.items()]
    if left:
        changed.append(f"left by a killed removal or queueing: {word} {size(left)}")
    said = (
        "\n".join([*changed, f"{word} {size(sum(freed.values()) + left)} in all"]) if changed else "nothing to remove"
    )
    context.emit({"changed": changed, "bytes": sum(freed.values()) + left, "dry_run": args.dry_run}, said)
