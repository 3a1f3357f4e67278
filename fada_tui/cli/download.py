"""Models of the hub onto this machine: download."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fada_tui.cli.context import Context
from fada_tui.cli.queueing import asking, finish
from fada_tui.format import size

if TYPE_CHECKING:
    from backends.jobs.fetching import Wanted
    from fada_tui.cli import Verbs


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    parser = verbs.add_parser("download", parents=[shared], help="queue the download of a model from the hub")
    parser.add_argument("model", metavar="MODEL", help="a tracker name, an alias or a hub id (ORG/NAME@REVISION)")
    parser.add_argument("--revision", metavar="NAME", help="a branch, tag or commit (the newest)")
    parser.add_argument(
        "--allow-pickle", action="store_true", help="agree to weights that are no safetensors (a format for code too)"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be fetched, queue nothing")
    parser.add_argument("--wait", action="store_true", help="return when it is over")
    parser.set_defaults(handler=download)


def download(args: argparse.Namespace, context: Context) -> int:
    """Queue it, or say that it is here already."""
    from backends.jobs.fetching import enqueue_download, look_up

    context.prepare()
    with asking():
        wanted = look_up(context.home, args.model, args.revision, allow_pickle=args.allow_pickle)
        run = None if args.dry_run else enqueue_download(context.home, wanted, allow_pickle=args.allow_pickle)
    facts = _facts(wanted)
    if run is not None:
        return finish(context, [run], args.wait, more=facts)
    context.emit({"runs": [], **facts}, lambda: _text(wanted))
    return 0


def _facts(wanted: Wanted) -> dict[str, Any]:
    found = wanted.found
    return {
        "repo": found.repo,
        "revision": found.commit,
        "bytes": found.bytes,
        "missing_bytes": wanted.missing_bytes,
        "free_bytes": wanted.room.free,
        "files": len(found.files),
        "gated": found.gated,
        "licence": found.licence,
    }


def _text(wanted: Wanted) -> str:
    found = wanted.found
    head = f"{found.repo} at {found.commit[:12]}: {len(found.files)} files, {size(found.bytes)}"
    if wanted.is_here:
        return f"{head}, all of it here"
    return f"{head}, {size(wanted.missing_bytes)} to fetch; {size(wanted.room.free)} free in {wanted.room.folder}"
