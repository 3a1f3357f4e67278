"""`fada estimate MODEL`: what a card would have to hold, before anything is downloaded or queued."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backends.estimate.ask import GIB, METHODS, PRECISIONS, Question, parse_image_size
from backends.estimate.recorded import usual_images
from backends.jobs.prospect import Prospect, prospect
from db.tracker.queries import stated_vram
from fada_tui.cli.context import Context
from fada_tui.cli.errors import UsageError
from fada_tui.cli.output import table
from fada_tui.text import printable

if TYPE_CHECKING:
    from fada_tui.cli import Verbs

NEW_TOKENS = 64


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    parser = verbs.add_parser("estimate", parents=[shared], help="the VRAM that a model would take, by component")
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--method", choices=("auto", *METHODS), help="of a fine-tune; without it: an evaluation")
    parser.add_argument("--precision", choices=PRECISIONS, help="of the weights (default: 16 bits on a card)")
    parser.add_argument("--image-size", metavar="WxH", help="pixels of the images (default: 1024x768)")
    parser.add_argument(
        "--batch",
        type=int,
        metavar="N",
        help="samples at once (8 in training, 32 or what its loader takes in evaluations)",
    )
    parser.add_argument("--tokens", type=int, metavar="N", help="text tokens of a sample, prompt and answer (96)")
    parser.add_argument("--rank", type=int, default=16, metavar="R", help="of the LoRA (16)")
    parser.add_argument("--data", metavar="PATH", help="take the sizes of these images, and say steps and time")
    parser.add_argument("--image-root", metavar="DIR", help="default: the data file's folder, then its images/")
    parser.add_argument("--max-pixels", type=int, metavar="N", help="of a fine-tune: larger images are made smaller")
    parser.add_argument(
        "--accumulate", type=int, default=1, metavar="N", help="of a fine-tune: passes before a step (1)"
    )
    parser.add_argument("--epochs", type=float, default=3.0, metavar="N", help="of a fine-tune (3)")
    parser.set_defaults(handler=show_estimate)


def show_estimate(args: argparse.Namespace, context: Context) -> None:
    """Components, interval, the tracker's own figure and the card."""
    from backends.telemetry.sampler import Sampler

    _check_numbers(args)
    try:
        size = parse_image_size(args.image_size) if args.image_size else None
    except ValueError as error:
        raise UsageError(f"--image-size: {error}") from None
    context.prepare()
    source, shown = _source(args.model, context)
    model = _of_model(args.model, context)
    batch = args.batch or (8 if args.method else 1 if model.get("loader") == "environment" else 32)
    precision = args.precision or ""
    if args.method == "full" and precision not in ("", "fp32"):
        raise UsageError(f"--precision {precision} with --method full", hint="all weights are trained in 32 bits")
    question = Question(
        source, shown, args.method or "", precision, batch, size, args.tokens, args.rank, targets="language"
    )
    question = replace(question, max_pixels=args.max_pixels, **model)
    question = replace(question, task=None if args.method else "gt", embedded=not args.method)
    data, images_of = _of_data(args, context)
    question = replace(question, **data)
    training = {"batch_size": batch, "accumulation": args.accumulate, "epochs": args.epochs} if args.method else None
    with Sampler(context.home) as sampler:
        found = prospect(context.home, context.runs, question, sampler.sample({}), training)
    stated = stated_vram(context.tracker, args.model) or stated_vram(context.tracker, shown)
    context.emit(_document(question, found, stated), lambda: _text(question, found, stated, images_of))


def _check_numbers(args: argparse.Namespace) -> None:
    for name in ("batch", "tokens", "rank", "max_pixels", "accumulate"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} {value}: it must be at least 1")
    if not 0 < args.epochs < float("inf"):
        raise UsageError(f"--epochs {args.epochs:g}: it must be above 0")
    if not args.method and (args.max_pixels or args.accumulate != 1):
        raise UsageError("--max-pixels and --accumulate are of a fine-tune", hint="name its --method as well")


def _of_model(model: str, context: Context) -> dict[str, Any]:
    """What a run's spec would say of it; nothing where it could not be queued here."""
    from backends.catalog.errors import ModelError
    from backends.jobs.prospect import model_facts

    try:
        return model_facts(context.home, model)
    except ModelError:
        return {}


def _of_data(args: argparse.Namespace, context: Context) -> tuple[dict[str, Any], str]:
    """How many samples there are and how large their images; and whose images they are, in words.

    Without data: those of the newest run, else a usual ultrasound frame.
    """
    from pathlib import Path

    from backends.data.errors import DataError
    from backends.data.validate import validate

    if not args.data:
        known = usual_images(context.runs) if not args.image_size else None
        return ({"image_sizes": known[1]}, f"images as in #{known[0]}; --data takes others") if known else ({}, "")
    kind = "finetune" if args.method else "gt"
    root = Path(args.image_root) if args.image_root else None
    try:
        report = validate(Path(args.data), root, kind=kind)
    except DataError as error:
        raise UsageError(error.message, where=error.where, hint=error.hint) from error
    return {"samples": report.samples, "image_sizes": report.image_sizes}, ""


def _source(model: str, context: Context) -> tuple[str, str]:
    """What to estimate, and what to call it. A model that nothing here can load is estimated as well.

    Raises:
        UsageError: Unknown, or several sizes.
    """
    from backends.catalog.reader import USER_FILE, load_catalog
    from backends.catalog.resolve import ModelError, resolve_model

    entry, variant = load_catalog(context.home.root / USER_FILE).lookup(model) or (None, None)
    if entry and (variant or (entry.repo and entry.loader != "openai")):
        name = f"{entry.name}:{variant.name}" if variant else entry.name
        return (variant.repo if variant else entry.repo) or "", name
    try:
        resolved = resolve_model(model, context.tracker)
    except ModelError as error:
        raise UsageError(error.message, error.where, error.hint) from error
    return resolved.source, resolved.name


def _document(question: Question, found: Prospect, stated: str | None) -> dict[str, Any]:
    answer = found.card
    low, likely, high = answer.interval
    plain = answer.estimate
    seen = answer.corrected
    return {
        "model": question.name,
        "source": question.source,
        "kind": "finetune" if question.method else "eval",
        "method": question.method or None,
        "precision": question.precision or None,
        "batch": question.batch,
        "image_size": list(question.image_size) if question.image_size else None,
        "low": low,
        "likely": likely,
        "high": high,
        "components": [one.to_dict() for one in plain.components],
        "estimated": {"low": plain.vram_low, "likely": plain.vram_bytes, "high": plain.vram_high},
        "seen_in": [answer.seen.run] if answer.seen else list(seen.runs) if seen else [],
        "tracker_vram": stated,
        "card_bytes": answer.card_bytes,
        "verdict": answer.verdict,
        "how": plain.how,
        "reserve": {
            "bytes": None if found.refused else found.reserved,
            "memory": found.here.memory,
            "source": found.here.source,
            "refused": found.refused,
        },
        "image_tokens": found.images.usual.tokens if found.images else None,
        "steps": found.steps,
        "seconds": found.seconds,
    }


def _text(question: Question, found: Prospect, stated: str | None, images_of: str) -> str:
    from fada_tui.format import duration

    answer = found.card
    work = f"fine-tune ({question.method})" if question.method else "evaluation"
    lines = [printable(f"{question.name}  {work}, batch {question.batch}")]
    rows = [
        (f"  {one.name}", gigabytes(one.low), gigabytes(one.likely), gigabytes(one.high), one.how)
        for one in answer.estimate.components
    ]
    plain = answer.estimate
    rows.append(("  sum", gigabytes(plain.vram_low), gigabytes(plain.vram_bytes), gigabytes(plain.vram_high), ""))
    if answer.run is not None:
        seen = answer.corrected.runs[:3] if answer.corrected and not answer.seen else (answer.run,)
        runs = ", ".join(f"#{run}" for run in seen)
        low, likely, high = answer.interval
        rows.append(("  by peaks seen", gigabytes(low), gigabytes(likely), gigabytes(high), f"in {runs}"))
    lines.append(table(("  GiB", "least", "likely", "most", ""), rows, right=(1, 2, 3)))
    if stated:
        lines.append(printable(f"the tracker says {stated}"))
    lines.append(answer.words)
    here = found.here
    reserves = f"a run here reserves {gigabytes(found.reserved)} GiB of {here.memory}: {here.source}"
    lines.append(f"a run here cannot be queued: it {found.refused}" if found.refused else reserves)
    if found.steps:
        time = duration(found.seconds) if found.seconds else "unknown until a run was measured"
        lines.append(f"{found.steps:,} steps; time: {time}")
    lines += [images_of] if images_of else []
    return "\n".join([*lines, printable(plain.how)])


def gigabytes(size: int) -> str:
    return f"{size / GIB:.2f}"
