"""`fada convert`: what a fine-tune left, or a model, as one whole checkpoint, as GGUF or as ONNX."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fada_tui.cli.context import Context
from fada_tui.cli.launch import add_allow_pickle, add_queue_options, queue_options
from fada_tui.cli.queueing import asking, finish, show_progress
from fada_tui.format import size
from fada_tui.text import printable

if TYPE_CHECKING:
    from fada_tui.cli import Verbs


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    parser = verbs.add_parser(
        "convert",
        parents=[shared],
        help="export what a fine-tune left, or a model: merged, GGUF or ONNX, and check the file",
        epilog="for instance: fada convert 12 --to gguf --quant q4_k_m",
    )
    parser.add_argument("what", metavar="RUN|MODEL", help="a run that left weights, or a model as everywhere else")
    parser.add_argument("--to", required=True, choices=("merged", "gguf", "onnx"), help="one checkpoint folder; "
                        "llama.cpp's format, text model and vision projector; ONNX (small models)")  # fmt: skip
    parser.add_argument("--quant", metavar="NAME", help="of a GGUF: q4_k_m (unless said), q8_0 or f16")
    parser.add_argument("--data", metavar="PATH", help="questions to check it on; default: what the fine-tune held out")
    parser.add_argument("--image-root", metavar="DIR", help="default: the data file's folder, then its images/")
    parser.add_argument(
        "--check", type=int, default=32, metavar="N", help="questions asked of the original and of the file; 0: none"
    )
    add_allow_pickle(parser)
    add_queue_options(parser)
    parser.set_defaults(handler=convert)


def convert(args: argparse.Namespace, context: Context) -> int:
    """Route, tools and data are checked before it is queued."""
    from backends.jobs.asked import ConvertAsked
    from backends.jobs.launch_convert import notices, plan_convert
    from backends.jobs.submit import submit

    context.prepare()
    options = queue_options(args)
    with asking():
        plan = plan_convert(
            context.home,
            args.what,
            ConvertAsked(
                to=args.to,
                quant=args.quant,
                data=args.data,
                image_root=args.image_root,
                check=args.check,
                allow_pickle=args.allow_pickle,
                **options,
            ),
        )
        for text in notices(context.home, plan):
            print(printable(f"fada: {text}"), file=sys.stderr)
        run = submit(context.home, plan)
    if not args.wait:
        return finish(context, [run], wait=False)
    return _finish(context, run)


def _finish(context: Context, run_id: int) -> int:
    """Wait, and say what came of it."""
    from db.runs.queries import summary

    (run,) = show_progress(context, [run_id])
    told = summary(context.runs, run_id) if run.state == "done" else {}
    lines = [f"#{run.id} {run.state}" + (f": {run.reason}" if run.reason else ""), *result_lines(run.run_dir, told)]
    context.emit({"runs": [run_id], "result": told}, "\n".join(map(printable, lines)))
    return 0 if run.state == "done" else 1


def result_lines(folder: str, told: Mapping[str, Any]) -> list[str]:
    """The files with their sizes, and what the check found."""
    files: Sequence[Mapping[str, Any]] = told.get("files") or ()
    lines = [f"{size(one['bytes']):>10}  {folder}/{one['path']}" for one in files]
    if files:
        lines.append(f"{size(told['bytes']):>10}  in all, of {size(told['bytes_before'])} of weights")
    check = told.get("check") or {}
    if check.get("items"):
        scores = "".join(
            f", {name} {check['original'][name]:.3f} → {value:.3f}" for name, value in check["exported"].items()
        )
        lines.append(f"the same answer to {check['agreement']:.1%} of {check['items']} questions{scores}")
        if alike := check.get("one_tile"):
            lines.append(f"where the original sees no tiles either: to {alike['agreement']:.1%}")
        if wide := check.get("with_margins"):
            lines.append(f"asked with blank lines around the image, as in training: to {wide['agreement']:.1%}")
    elif check.get("why_not"):
        lines.append(f"not checked: {check['why_not']}")
    return lines
