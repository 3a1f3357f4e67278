"""`fada finetune`: one, one like another, or a sweep; each with the evaluations that say what it was good for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fada_tui.cli.context import Context
from fada_tui.cli.errors import UsageError
from fada_tui.cli.launch import add_allow_pickle, add_queue_options, queue_options
from fada_tui.cli.queueing import asking, finish, show_progress
from fada_tui.cli.reconciling import tick
from fada_tui.text import printable

if TYPE_CHECKING:
    from backends.jobs.follow import Followed
    from fada_tui.cli import Verbs


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    parser = verbs.add_parser(
        "finetune",
        parents=[shared],
        help="queue a fine-tune, and the evaluations of its base and of its result on the held-out data",
        epilog="for instance: fada finetune --like 12 --sweep lr=1e-4,2e-4 lora.r=8,16",
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="left out with --like: the model of that run")
    parser.add_argument("--data", metavar="PATH", help="training questions (JSONL)")
    parser.add_argument("--eval-data", metavar="PATH", help="held-out questions, scored while it trains and after it")
    parser.add_argument("--image-root", metavar="DIR", help="default: the data file's folder, then its images/")
    parser.add_argument(
        "--like", type=int, metavar="RUN", help="as that fine-tune; what is given besides goes before it"
    )
    parser.add_argument(
        "--method", choices=("auto", "peft", "full", "unsloth"), help="auto, unless --like says another"
    )
    parser.add_argument(
        "--precision", metavar="NAME", help="auto, bf16, fp32, or LoRA on a base in 8bit or 4bit (QLoRA)"
    )
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="a named set of settings, see `fada presets`; what is given besides goes before",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of the order of the samples and the first LoRA weights")
    parser.add_argument(
        "--set",
        dest="settings",
        nargs="+",
        action="extend",
        default=[],
        metavar="k=v",
        help="settings, for instance lr=1e-4 epochs=2 lora.r=8; a name that is none lists them all",
    )
    parser.add_argument(
        "--sweep",
        nargs="+",
        action="extend",
        default=[],
        metavar="k=v,v",
        help="a run for each value; of several settings each combination. All are tagged sweep:ID",
    )
    parser.add_argument("--no-eval", action="store_true", help="evaluate nothing after it")
    add_allow_pickle(parser)
    add_queue_options(parser)
    parser.set_defaults(handler=finetune)
    card = verbs.add_parser("card", parents=[shared], help="a fine-tune's model card with its scores before and after")
    card.add_argument("run", type=int, metavar="RUN")
    card.add_argument("--write", action="store_true", help="into README.md beside its weights")
    card.set_defaults(handler=show_card)


def finetune(args: argparse.Namespace, context: Context) -> int:
    """Everything is checked before anything is queued."""
    from backends.jobs.asked import FinetuneAsked
    from backends.jobs.follow import follow
    from backends.jobs.launch_finetune import changed_data, plan_finetune
    from backends.jobs.reporting import notices

    context.prepare()
    with asking():
        wanted = _wanted(args, context)
        points = _points(args, wanted["settings"])
        told = _training_warnings(context, wanted)
        model = wanted.pop("model")
        plans = [
            plan_finetune(context.home, model, FinetuneAsked(**{**wanted, "settings": point})) for point, _ in points
        ]
        for text in changed_data(context.home, args.like, plans[0]) if args.like is not None else []:
            _warn(text)
        for text in notices(plans[0]["training"].get("report_to")):
            print(f"fada: {text}", file=sys.stderr)
        evaluate = not args.no_eval
        if evaluate and not wanted["eval_data"]:
            print("fada: no held-out data (--eval-data): nothing is evaluated after it", file=sys.stderr)
        made = follow(context.home, plans, evaluate=evaluate, tags=[words for _, words in points])
    return _finish(args, context, made, told)


def _wanted(args: argparse.Namespace, context: Context) -> dict[str, Any]:
    """What plan_finetune takes: of the run in ``--like``, and over it what was given.

    Raises:
        UsageError: Model or data are missing, or a setting is wrong.
    """
    from backends.jobs.launch_finetune import wanted_like
    from backends.jobs.presets import find_preset
    from backends.jobs.settings import SettingError, read_settings

    wanted: dict[str, Any] = {"settings": {}, "eval_data": None, "image_root": None}
    if args.like is not None:
        wanted = wanted_like(context.home, args.like)
    elif args.model is None:
        raise UsageError(
            "no model was named", hint="fada finetune MODEL --data FILE.jsonl, or fada finetune --like RUN"
        )
    elif args.data is None:
        raise UsageError("a fine-tune needs data", hint="give --data FILE.jsonl")
    preset = find_preset(context.home, args.preset) if args.preset is not None else None
    if preset:
        wanted["settings"] = {**wanted["settings"], **preset.settings}
        wanted |= {"precision": preset.precision} if preset.precision else {}
    try:
        settings = {**wanted["settings"], **read_settings(args.settings)}
    except SettingError as error:
        raise UsageError(str(error)) from error
    settings |= {name: value for name in ("method", "seed") if (value := getattr(args, name)) is not None}
    options = queue_options(args)
    for name in ("max_seconds", "engine"):
        if options[name] is None:
            options.pop(name)
    return {**wanted, "settings": settings, **_given(args), **options}


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """What of model and data was said on the command line; another file has its images where it lies."""
    given: dict[str, Any] = {}
    if args.model is not None:
        given |= {"model": args.model, "name": None}
    if args.data is not None:
        given |= {"data": args.data, "image_root": args.image_root}
    if args.eval_data is not None:
        given |= {"eval_data": args.eval_data, "eval_root": args.image_root}
    if args.image_root is not None:
        given |= {"image_root": args.image_root, "eval_root": args.image_root}
    if args.precision is not None:
        given["precision"] = args.precision
    return given | ({"allow_pickle": True} if args.allow_pickle else {})


def _points(args: argparse.Namespace, settings: Mapping[str, Any]) -> list[tuple[dict[str, Any], list[str]]]:
    """Settings of each run, and words that tell it from the others.

    Raises:
        UsageError: A sweep cannot be read, or sweeps what ``--set`` gives.
    """
    from backends.jobs.launch_finetune import variants
    from backends.jobs.settings import SHORT, SettingError, read_settings

    try:
        swept = variants(args.sweep)
        both = [name for name in read_settings(args.settings) if name in swept[0]]
    except SettingError as error:
        raise UsageError(str(error)) from error
    if both:
        raise UsageError(f"{both[0]} is both set and swept", hint="leave it out of --set or of --sweep")
    short = {full: name for name, full in SHORT.items()}
    return [
        ({**settings, **point}, [f"{short.get(name, name)}={_tag_value(value)}" for name, value in point.items()])
        for point in swept
    ]


def _tag_value(value: Any) -> str:
    words = (
        "+".join(map(str, value)) if isinstance(value, list) else f"{value:g}" if type(value) is float else str(value)
    )
    return "".join(words.split())[:40]


def _training_warnings(context: Context, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What the training data lack, and what they share with the held-out data: said, and no reason to refuse."""
    from backends.data.errors import DataError
    from backends.jobs.preview import preview_finetune

    limit, seed = (wanted["settings"].get(name) for name in ("limit", "seed"))
    try:
        found = preview_finetune(
            context.home, wanted["data"], wanted["image_root"], wanted["eval_data"], limit, seed=seed or 0
        )
    except (DataError, OSError):
        return {"warnings": []}  # what is wrong with it is said when it is queued
    for text in found.warnings:
        _warn(text)
    counts: dict[str, Any] = {"samples": found.training.samples, "images": found.training.images}
    counts |= {"categories": found.training.categories, "questions": found.training.topics}
    return {"warnings": list(found.warnings), "composition": counts}


def _warn(text: str) -> None:
    print(printable(f"fada: warning: {text}"), file=sys.stderr)


def _finish(args: argparse.Namespace, context: Context, made: Sequence[Followed], told: dict[str, Any]) -> int:
    """Print the runs, the fine-tunes first; with ``--wait`` what came of them."""
    from fada_tui.cli.beforeafter import before_after, shown

    runs = [one.tune for one in made]
    runs += list(dict.fromkeys(run for one in made for run in one.queued[1:]))
    more = told | {"evaluations": [_as_document(one) for one in made]}
    if not args.wait:
        for run in dict.fromkeys(one.base for one in made if one.reused and one.base not in runs):
            print(f"fada: the base is evaluated already: #{run}", file=sys.stderr)
        return finish(context, runs, False, more=more)
    bases = [one.base for one in made if one.base is not None and one.base not in runs]
    ended = show_progress(context, [*runs, *dict.fromkeys(bases)])
    results = before_after(context, made)
    lines = [f"#{run.id} {run.state}" + (f": {run.reason}" if run.reason else "") for run in ended]
    document = {"runs": runs, **more, "results": results}
    context.emit(document, "\n".join([*map(printable, lines), *([shown(results)] if results else [])]))
    return 0 if all(run.state == "done" for run in ended) else 1


def _as_document(one: Followed) -> dict[str, Any]:
    return {"tune": one.tune, "tuned": one.tuned, "base": one.base, "base_reused": one.reused}


def show_card(args: argparse.Namespace, context: Context) -> None:
    """`fada card RUN`: what stands beside the weights, with the evaluations that were made since."""
    from backends.jobs.files import read_json, write_json
    from backends.jobs.modelcard import CARD, RECORD, render
    from db.atomic import replace_file

    tick(context)
    folder = _weights(context, args.run)
    facts = read_json(folder / RECORD)
    if facts is None:
        raise UsageError(f"run #{args.run} left no card: it is older than cards are", where=str(folder / RECORD))
    facts["after"] = _after(context, args.run) or facts.get("after")
    text = render(facts)
    if args.write:
        write_json(folder / RECORD, facts)
        replace_file(folder / CARD, text.encode())
    context.emit(
        {"run": args.run, "path": str(folder / CARD), "written": args.write, "card": text}, printable_lines(text)
    )


def printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def _weights(context: Context, run_id: int) -> Path:
    from db.runs.queries import get_run

    run = get_run(context.runs, run_id)
    if run is None:
        raise UsageError(f"there is no run #{run_id}", hint="`fada jobs` lists them")
    folder = next((found for name in ("adapter", "model") if (found := Path(run.run_dir) / name).is_dir()), None)
    if run.kind != "finetune" or folder is None:
        raise UsageError(f"run #{run_id} left no fine-tuned weights", hint="fada card takes a fine-tune that is done")
    return folder


def _after(context: Context, tune: int) -> dict[str, Any] | None:
    from backends.jobs.follow import Followed, evaluated_pair
    from backends.jobs.store import read_spec
    from fada_tui.cli.beforeafter import before_after

    pair = evaluated_pair(context.runs, tune)
    if pair is None:
        return None
    base, tuned = pair
    found = before_after(context, [Followed(tune, tuned, base)])
    data = (read_spec(context.home.run_dir(tuned)) or {}).get("data") or {}
    about = {"data": Path(str(data.get("path"))).name, "sha256": data.get("sha256")}
    return {**about, **{key: found[0][key] for key in ("before", "after", "differences")}} if found else None
