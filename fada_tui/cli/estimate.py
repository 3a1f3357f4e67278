"""`fada estimate MODEL`: what a card would have to hold, before anything is downloaded or queued."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from backends.estimate.ask import GIB, METHODS, PRECISIONS, Answer, Question, ask, card_memory, parse_image_size
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
    parser.add_argument("--precision", choices=PRECISIONS, help="of the weights (default: 16 bits; unsloth: 4)")
    parser.add_argument("--image-size", metavar="WxH", help="pixels of the images (default: 1024x768)")
    parser.add_argument("--batch", type=int, metavar="N", help="samples at once (8 in training, 32 in evaluations)")
    parser.add_argument("--tokens", type=int, metavar="N", help="text tokens of a sample, prompt and answer (96)")
    parser.add_argument("--rank", type=int, default=16, metavar="R", help="of the LoRA (16)")
    parser.set_defaults(handler=show_estimate)


def show_estimate(args: argparse.Namespace, context: Context) -> None:
    """Components, interval, the tracker's own figure and the card."""
    from backends.catalog.reader import USER_FILE
    from backends.telemetry.sampler import Sampler

    for name, value in (("--batch", args.batch), ("--tokens", args.tokens), ("--rank", args.rank)):
        if value is not None and value < 1:
            raise UsageError(f"{name} {value}: it must be at least 1")
    try:
        size = parse_image_size(args.image_size) if args.image_size else None
    except ValueError as error:
        raise UsageError(f"--image-size: {error}") from None
    context.prepare()
    source, shown = _source(args.model, context)
    batch = args.batch or (8 if args.method else 32)
    precision = args.precision or ""
    if args.method == "full" and precision not in ("", "fp32"):
        raise UsageError(f"--precision {precision} with --method full", hint="all weights are trained in 32 bits")
    question = Question(source, shown, args.method or "", precision, batch, size, args.tokens, args.rank)
    card = card_memory(Sampler(context.home).sample().gpus)
    answer = ask(question, context.runs, card, context.home.root / USER_FILE)
    stated = _stated(args.model, context) or _stated(shown, context)
    context.emit(_document(question, answer, stated), lambda: _text(question, answer, stated))


def _source(model: str, context: Context) -> tuple[str, str]:
    """What to estimate, and what to call it. A model that nothing here can load is estimated as well.

    Raises:
        UsageError: Unknown, or several sizes.
    """
    from backends.catalog.reader import USER_FILE, CatalogError, load_catalog
    from backends.catalog.resolve import ModelError, resolve_model

    try:
        found = load_catalog(context.home.root / USER_FILE).lookup(model)
    except CatalogError as error:
        raise UsageError(error.message, error.where, error.hint) from error
    entry, variant = found or (None, None)
    if entry and (variant or (entry.repo and entry.loader != "openai")):
        name = f"{entry.name}:{variant.name}" if variant else entry.name
        return (variant.repo if variant else entry.repo) or "", name
    try:
        resolved = resolve_model(model, context.tracker)
    except ModelError as error:
        raise UsageError(error.message, error.where, error.hint) from error
    return resolved.source, resolved.name


def _stated(name: str, context: Context) -> str | None:
    """The tracker's VRAM cell."""
    from db.tracker.queries import find_models

    models = find_models(context.tracker, name.partition(":")[0])
    return models[0].vram if len(models) == 1 and models[0].vram else None


def _document(question: Question, answer: Answer, stated: str | None) -> dict[str, Any]:
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
        "seen_in": list(seen.runs) if seen else [],
        "tracker_vram": stated,
        "card_bytes": answer.card_bytes,
        "verdict": answer.verdict,
        "how": plain.how,
    }


def _text(question: Question, answer: Answer, stated: str | None) -> str:
    work = f"fine-tune ({question.method})" if question.method else "evaluation"
    lines = [printable(f"{question.name}  {work}, batch {question.batch}")]
    rows = [
        (f"  {one.name}", gigabytes(one.low), gigabytes(one.likely), gigabytes(one.high), one.how)
        for one in answer.estimate.components
    ]
    plain = answer.estimate
    rows.append(("  sum", gigabytes(plain.vram_low), gigabytes(plain.vram_bytes), gigabytes(plain.vram_high), ""))
    if answer.corrected:
        runs = ", ".join(f"#{run}" for run in answer.corrected.runs[:3])
        low, likely, high = answer.interval
        rows.append(("  by peaks seen", gigabytes(low), gigabytes(likely), gigabytes(high), f"in {runs}"))
    lines.append(table(("  GiB", "least", "likely", "most", ""), rows, right=(1, 2, 3)))
    if stated:
        lines.append(printable(f"the tracker says {stated}"))
    return "\n".join([*lines, answer.words, printable(plain.how)])


def gigabytes(size: int) -> str:
    return f"{size / GIB:.2f}"
