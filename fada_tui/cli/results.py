"""Scores, each with what it takes to believe it."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from db.runs.rows import Score
from fada_tui.cli.context import Context
from fada_tui.cli.errors import CommandError, UsageError
from fada_tui.cli.output import table
from fada_tui.cli.reconciling import tick
from fada_tui.cli.scoretext import alarm_words, value_text
from fada_tui.text import printable

if TYPE_CHECKING:
    from fada_tui.cli import Verbs


def register(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    parser = verbs.add_parser("scores", parents=[shared], help="every score with interval, floors and alarms")
    parser.add_argument("--run", type=int, metavar="ID", help="only this run")
    parser.add_argument("--overall", action="store_true", help="without the rows per question and category")
    parser.add_argument("--published", action="store_true", help="of a benchmark's run: its published table beside it")
    parser.set_defaults(handler=show_scores)
    parser = verbs.add_parser("compare", parents=[shared], help="runs beside each other on the questions they share")
    parser.add_argument("runs", type=int, nargs="+", metavar="RUN")
    parser.add_argument("--metric", action="append", metavar="NAME", help="cosine and exact, if left out")
    parser.add_argument("--question", metavar="TOPIC", help="only this question")
    parser.add_argument("--category", metavar="NAME", help="only this category")
    parser.set_defaults(handler=compare)
    parser = verbs.add_parser("rescore", parents=[shared], help="the present scorer on a run's stored answers")
    parser.add_argument("run", type=int, metavar="RUN")
    parser.add_argument("--embedding", metavar="NAME", help="another embedding model than the run's own")
    parser.set_defaults(handler=rescore)


def show_scores(args: argparse.Namespace, context: Context) -> None:
    from db.runs.queries import get_run, scores
    from db.tracker.queries import load_tracker

    tick(context)
    if args.run is not None and get_run(context.runs, args.run) is None:
        raise UsageError(f"there is no run #{args.run}", hint="`fada jobs` lists them")
    if args.published:
        _published(args.run, context)
        return
    stored = scores(context.runs, args.run, args.overall, extra=context.json)
    found = [score for score in stored if not score.partial]
    if args.run is None:
        found = [*_from_document(load_tracker(context.tracker)), *found]
    context.emit([as_document(score) for score in found], lambda: _listing(found))


def _published(run: int | None, context: Context) -> None:
    """Rows of other people's models, with the run's own among them and its alarms below."""
    from db.runs.queries import scores
    from fada_tui.leaderboard.beside import beside_table
    from fada_tui.sources.scoreview import published_beside

    if run is None:
        raise UsageError("--published of which run?", hint="fada scores --run ID --published")
    found = published_beside(context.home, run)
    if not found:
        raise UsageError(f"nothing published stands beside #{run}", hint="runs of u2bench and fetal-gauge have a table")

    def text() -> str:
        made = beside_table(found, whole=True)
        rows = [(one.model, one.marks, *one.cells) for one in made.rows]
        lines = table(("model", "", *made.columns), rows, right=tuple(range(2, 2 + len(made.columns))))
        said = dict.fromkeys(
            f"⚠ #{run} {one.kind}: {one.text}" for score in scores(context.runs, run) for one in score.alarms
        )
        return "\n".join([lines, *map(printable, said)])

    context.emit([dict(row) for row in found], text)


def compare(args: argparse.Namespace, context: Context) -> None:
    """`fada compare RUN RUN…`: a tool job does it (numpy lives in workers only); its result is printed."""
    from backends.jobs.files import read_json

    if len(set(args.runs)) < 2:
        raise UsageError("a comparison needs two runs", hint="fada compare RUN RUN…; `fada jobs` lists them")
    wanted = {"metrics": args.metric, "question": args.question, "category": args.category}
    title = "compare " + " ".join(f"#{run}" for run in args.runs)
    tool = _tool(context, "compare", args.runs, {"runs": args.runs, **wanted}, title)
    found = (read_json(context.home.run_dir(tool) / "scores.json") or {}).get("comparisons") or []
    context.emit(found, lambda: _compared(found))


def rescore(args: argparse.Namespace, context: Context) -> None:
    """`fada rescore RUN`."""
    arguments = {"run": args.run, **({"embedding": args.embedding} if args.embedding else {})}
    _tool(context, "rescore", [args.run], arguments, f"rescore #{args.run}")
    context.emit({"runs": [args.run]}, f"#{args.run} was scored again; `fada scores --run {args.run}` shows it")


def _tool(context: Context, name: str, runs: Sequence[int], arguments: Mapping[str, Any], title: str) -> int:
    """Queue a tool on runs that are there, and wait for it.

    Raises:
        UsageError: There is no such run.
        CommandError: The tool did not end well; the message is its own.
    """
    from backends.jobs.queue import enqueue_tool, wait
    from db.runs.queries import get_run, summary

    for run in runs:
        if get_run(context.runs, run) is None:
            raise UsageError(f"there is no run #{run}", hint="`fada jobs` lists them")
    tool = enqueue_tool(context.home, name, arguments, title)
    ended = wait(context.home, [tool])[0]
    if ended.state != "done":
        said = summary(context.runs, tool)
        raise CommandError(
            str(said.get("message") or ended.reason or ended.state), f"#{tool}", said.get("hint") or f"fada log {tool}"
        )
    return tool


def _compared(found: Sequence[Mapping[str, Any]]) -> str:
    """A line a pair and metric, each warning once below: it is true of every line that it names a run of."""
    rows = [
        (
            f"#{one['a']} − #{one['b']}",
            one["metric"],
            _signed(one["difference"], one["ci_low"], one["ci_high"]),
            one["n_common"],
            _figure(one["p"]),
            _figure(one["p_holm"]),
            f"⚠ {len(one['warnings'])}" if one["warnings"] else "",
        )
        for one in found
    ]
    head = ("runs", "metric", "difference [95 %]", "n", "p", "p Holm", "warnings")
    said = dict.fromkeys(_warning(one, text) for one in found for text in one["warnings"])
    return "\n".join([table(head, rows, right=(3, 4, 5)), *said])


def _warning(one: Mapping[str, Any], text: str) -> str:
    """A warning that names no run is of the pair."""
    return printable(f"⚠ {text}" if text.startswith("#") else f"⚠ #{one['a']} − #{one['b']}: {text}")


def _signed(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "nothing in common"
    return f"{value:+.3f}" + (f" [{low:+.3f}, {high:+.3f}]" if low is not None and high is not None else "")


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _from_document(tracker: Any) -> list[Score]:
    """What the note states: no interval, no floors; n only where the note gives it."""
    return [
        Score(
            run=None,
            model=model.name,
            kind=score.kind,
            metric=score.metric,
            question=None,
            category=None,
            value=score.value,
            ci_low=None,
            ci_high=None,
            n=score.n or 0,
            answered=score.n or 0,
            failed=0,
            source="document",
            extra={"approximate": score.approximate, "stated_as": score.text},
        )
        for model in tracker.models
        for score in model.scores
    ]


def as_document(score: Score) -> dict[str, Any]:
    """The shape of `fada scores --json`: what is always there, then what the row was stored with besides."""
    keys = ("run", "model", "kind", "metric", "question", "category", "value", "ci_low", "ci_high", "n", "answered")
    document = {key: getattr(score, key) for key in keys} | {"failed": score.failed, "source": score.source}
    document |= {"empty": score.empty, "unparseable": score.unparseable}
    document |= {"floors": score.floors, "references": score.references}
    document["alarms"] = [{"kind": one.kind, "question": one.question, "text": one.text} for one in score.alarms]
    document |= {"fingerprint": score.fingerprint, "from_run": score.from_run}
    return document | {key: finite(value) for key, value in score.extra.items() if key not in document}


def finite(value: Any) -> Any:
    """What JSON has a word for: a number that is none is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    return [finite(one) for one in value] if isinstance(value, list) else value


def _listing(scores: list[Score]) -> str:
    if not scores:
        return "No scores yet. `fada eval MODEL --data FILE.jsonl` makes some."
    rows = [
        (
            f"#{score.run}" if score.run else score.source,
            score.label,
            f"{score.kind} {score.metric}",
            score.of or "overall",
            value_text(score),
            str(score.n) if score.n else "",
            ", ".join(score.unanswered),
            "" if score.gain is None else f"{score.gain:+.3f}",
            " ".join(f"{name} {value:.3f}" for name, value in {**score.floors, **score.references}.items()),
            alarm_words(score),
        )
        for score in scores
    ]
    head = ("run", "model", "score", "of", "value [95 %]", "n", "of these", "gain", "floors and references", "alarms")
    return table(head, rows, right=(5, 7))
