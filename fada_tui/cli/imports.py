"""`fada import-run`: results made elsewhere become a run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.runs.rows import Score
from fada_tui.cli.context import Context
from fada_tui.cli.errors import CommandError, UsageError
from fada_tui.cli.queueing import asking, show_progress
from fada_tui.cli.scoretext import score_lines
from fada_tui.cli.verbs import Adder
from fada_tui.text import printable

if TYPE_CHECKING:
    from fada_tui.cli import Verbs

_BAD_INPUT = ("DataError", "JobError")


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    """Add ``import-run`` to the command line."""
    parser = Adder(verbs, shared)("import-run", import_run, "results made elsewhere: answers, scores, training log")
    parser.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="of FADA, VLMEvalKit, lm-evaluation-harness, lmms-eval; a training of LLaMA-Factory, ms-swift, axolotl",
    )
    parser.add_argument("--model", metavar="NAME", help="whose results they are; default: what the results say")
    parser.add_argument("--data", type=Path, metavar="PATH", help="reference answers: they are scored anew beside")
    parser.add_argument("--image-root", type=Path, metavar="DIR", help="where the data's image paths start")
    parser.add_argument("--embedding", metavar="NAME", help="another embedding model for the cosine")


def import_run(args: argparse.Namespace, context: Context) -> None:
    """A tool job does it (numpy and torch live in workers only); the id of the run that it made is printed."""
    from backends.jobs.launch import enqueue_tool
    from db.runs.queries import scores, summary

    for path in (args.folder, args.data):
        if path is not None and not path.expanduser().exists():
            raise UsageError("there is nothing here", where=str(path), hint="check the path")
    if args.image_root is not None and args.data is None:
        raise UsageError("--image-root without --data", hint="it says where the image paths of --data start")
    context.prepare()
    arguments = {
        "path": _absolute(args.folder),
        "model": args.model,
        "data": _absolute(args.data),
        "image_root": _absolute(args.image_root),
        "embedding": args.embedding,
    }
    with asking():
        tool = enqueue_tool(context.home, "import-run", arguments, f"import {args.folder.name}")
    ended = show_progress(context, [tool])[0]
    said = summary(context.runs, tool)
    if ended.state != "done":
        kind = UsageError if said.get("error") in _BAD_INPUT else CommandError
        message = str(said.get("message") or ended.reason or ended.state)
        raise kind(message, hint=said.get("hint") or f"`fada log {tool}` says more")
    made = [score for score in scores(context.runs, said["runs"][0], overall_only=True) if not score.partial]
    context.emit({"runs": said["runs"]}, lambda: printable_summary(said, made))


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.expanduser().absolute())


def printable_summary(said: dict[str, Any], made: Sequence[Score]) -> str:
    """What came in, what found no partner, and the scores with what stands beside them."""
    run = said["runs"][0]
    if said.get("trainer"):
        return _training_summary(run, said)
    lines = [
        f"#{run} imported: {said['samples']} answers ({said['failed']} failed), {said['scored']} scored, "
        f"{said['stated']} scores as stated"
    ]
    if said["unmatched"]:
        lines.append(f"⚠ {said['unmatched']} answers have no reference and are not scored")
    if said["unanswered"]:
        lines.append(f"⚠ {said['unanswered']} references have no answer")
    lines += score_lines(made)
    lines.append(f"`fada scores --run {run}` shows all, `fada job {run}` the warnings")
    return "\n".join(printable(line) for line in lines)


def _training_summary(run: int, said: dict[str, Any]) -> str:
    """A training run of another program."""
    lines = [f"#{run} imported: a training by {said['trainer']}, {said['steps']} steps"]
    if said.get("train_loss") is not None:
        lines[0] += f", loss {said['train_loss']:.4g}"
    if said.get("adapter_path"):
        lines.append(f"`fada eval MODEL --data FILE.jsonl --adapter {run}` evaluates its adapter")
    lines.append(f"`fada job {run}` shows its curves and settings")
    return "\n".join(printable(line) for line in lines)
