"""Verbs that queue work: eval, run, phantoms; finetune is beside it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fada_tui.cli.context import Context
from fada_tui.cli.env import add_environment_options, asking_for_code, tell_agreed
from fada_tui.cli.errors import UsageError
from fada_tui.cli.queueing import add_max_time, asking, finish, max_time, show_progress
from fada_tui.cli.servers import add_server_options, server_options, tell_private
from fada_tui.text import printable

if TYPE_CHECKING:
    from fada_tui.cli import Verbs


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    _register_eval(verbs, shared)
    run = verbs.add_parser(
        "run",
        parents=[shared],
        help="queue any command: fada run [options] -- CMD…",
        usage="fada run [options] -- CMD…",
        epilog="for instance: fada run --vram 12 --max-time 2h -- python train.py --lr 1e-4",
    )
    run.add_argument("--vram", type=float, default=0.0, metavar="GB", help="card memory to reserve (default: none)")
    add_queue_options(run)
    run.set_defaults(handler=run_command)
    phantoms = verbs.add_parser("phantoms", parents=[shared], help="make synthetic ultrasound with questions")
    phantoms.add_argument("folder", type=Path, metavar="DIR")
    for split, count in (("train", 600), ("val", 90), ("test", 180)):
        phantoms.add_argument(f"--{split}", type=int, default=count, metavar="N", help=f"images ({count})")
    phantoms.add_argument("--seed", type=int, default=0, metavar="S")
    phantoms.set_defaults(handler=make_phantoms)


def _register_eval(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    parser = verbs.add_parser("eval", parents=[shared], help="queue evaluations")
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument(
        "--kind",
        default="gt",
        choices=("gt", "proxy", "perf", "u2bench", "fetal-gauge", "zero-shot"),
        help="gt: against reference answers; proxy: keywords, not comparable with anything; perf: speed and memory;"
        " u2bench, fetal-gauge: benchmarks in their own layouts; zero-shot: classes by a contrastive model",
    )
    parser.add_argument("--data", required=True, metavar="PATH", help="what the kind reads: JSONL, tables or a folder")
    parser.add_argument("--image-root", metavar="DIR", help="default: the data file's folder, then its images/")
    parser.add_argument("--limit", type=int, metavar="N", help="only N questions, a seeded sample over the whole file")
    parser.add_argument("--adapter", type=int, metavar="RUN", help="evaluate what this fine-tune run left")
    parser.add_argument(
        "--floors",
        default="",
        metavar="NAMES",
        help="majority,shuffled are always there; text_only asks each distinct question again about a grey picture",
    )
    parser.add_argument(
        "--precision",
        default="auto",
        metavar="NAME",
        help="auto (bf16 on a card, else fp32), bf16, fp32, 8bit or 4bit (bitsandbytes)",
    )
    parser.add_argument(
        "--loader", choices=("auto", "unsloth"), default="auto", help="unsloth: its own kernels, on an NVIDIA card"
    )
    add_allow_pickle(parser)
    add_environment_options(parser)
    add_server_options(parser)
    add_queue_options(parser)
    parser.set_defaults(handler=evaluate)


def add_allow_pickle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-pickle", action="store_true", help="agree to weights that are no safetensors (a format for code too)"
    )


def add_queue_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--after", type=int, action="append", default=[], metavar="ID", help="start when ID is done")
    parser.add_argument(
        "--after-any", type=int, action="append", default=[], metavar="ID", help="start when ID is over, however"
    )
    parser.add_argument("--wait", action="store_true", help="return when it is over")
    parser.add_argument("--engine", metavar="NAME", help="where it runs: local, or an [engines.NAME] of config.toml")
    add_max_time(parser)


def queue_options(args: argparse.Namespace) -> dict[str, Any]:
    """What every queueing verb hands on."""
    if args.after and args.after_any:
        raise UsageError("--after and --after-any together", hint="a run waits either for success or for any end")
    return {
        "after": args.after or args.after_any,
        "after_any": bool(args.after_any),
        "max_seconds": max_time(args),
        "engine": args.engine,
    }


def evaluate(args: argparse.Namespace, context: Context) -> int:
    from backends.jobs.asked import EvalAsked
    from backends.jobs.engines.config import grouped
    from backends.jobs.launch import plan_eval
    from backends.jobs.submit import submit

    context.prepare()
    options = queue_options(args) | server_options(args, context)
    with asking_for_code():
        # All of them are checked before the first is queued.
        plans = [
            plan_eval(
                context.home,
                model,
                EvalAsked(
                    data=args.data,
                    image_root=args.image_root,
                    task=args.kind,
                    limit=args.limit,
                    adapter=args.adapter,
                    floors=tuple(name.strip() for name in args.floors.split(",") if name.strip()),
                    precision=args.precision,
                    loader=args.loader,
                    allow_pickle=args.allow_pickle,
                    environment=args.environment,
                    trust_remote_code=args.trust_remote_code,
                    **options,
                ),
            )
            for model in args.models
        ]
        tell_private(plans)
        if args.trust_remote_code:
            tell_agreed(plans)
        warnings = data_problems(plans)
        runs = [submit(context.home, plan) for plan in grouped(plans)]
    return finish(context, runs, args.wait, more={"warnings": warnings})


def data_problems(plans: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with the data of plans, each said once on standard error: their questions will fail."""
    found = list(dict.fromkeys(text for plan in plans for text in (plan.get("data") or {}).get("problems") or ()))
    for text in found:
        print(printable(f"fada: warning: {text}"), file=sys.stderr)
    return found


def run_command(args: argparse.Namespace, context: Context) -> int:
    from backends.jobs.launch import enqueue_command

    context.prepare()
    options = queue_options(args)
    with asking():
        run = enqueue_command(context.home, args.command, vram_bytes=_vram_bytes(args.vram), **options)
    return finish(context, [run], args.wait)


def _vram_bytes(gigabytes: float) -> int:
    if not 0 <= gigabytes < float("inf"):
        raise UsageError(f"--vram {gigabytes:g}: it is an amount of memory in GB", hint="--vram 18 reserves 18 GB")
    return int(gigabytes * 1e9)


def make_phantoms(args: argparse.Namespace, context: Context) -> int:
    from backends.jobs.launch import enqueue_tool
    from db.runs.queries import summary

    for split in ("train", "val", "test"):
        if getattr(args, split) < 0:
            raise UsageError(f"--{split} {getattr(args, split)}: a number of images cannot be negative")
    if args.folder.is_file():
        raise UsageError("this is a file; a folder is needed", where=str(args.folder))
    folder = args.folder.absolute()
    context.prepare()
    counts = {split: getattr(args, split) for split in ("train", "val", "test")}
    run = enqueue_tool(context.home, "phantoms", {"folder": str(folder), **counts, "seed": args.seed}, "phantoms")
    ended = show_progress(context, [run])
    if ended[0].state != "done":
        raise UsageError(ended[0].reason or ended[0].state, where=str(folder), hint=f"`fada log {run}` says more")
    made = summary(context.runs, run)
    document = {key: made[key] for key in ("train", "val", "test", "images")}
    context.emit(document, lambda: "\n".join(f"{key}: {path}" for key, path in document.items()))
    return 0
