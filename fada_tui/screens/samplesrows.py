"""What the Samples screen says: a line an answer in the list, and the whole of the one that is looked at. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, zip_longest

from rich.cells import cell_len

from db.runs.samples import Brief, Other, Sample, Wanted
from fada_tui.format import number, score
from fada_tui.widgets.fold import fold
from fada_tui.widgets.line import Line, Row, Span, cut, left, right

_LEAST_COLUMNS = 56
"""Narrower than this two answers stand one under the other."""
TOPIC = 12
"""Cells that a topic has at most in the list."""
_SIGNS: dict[int | None, Span] = {1: ("✓", "good"), 0: ("✗", "bad"), None: ("·", "dim")}


def sign_of(verdict: int | None, failed: bool = False) -> Span:
    """``✓`` right, ``✗`` wrong, ``!`` failed, ``·`` nothing to compare with."""
    return ("!", "error") if failed else _SIGNS.get(verdict, _SIGNS[None])


def brief_line(brief: Brief, width: int, *, other: bool, metric: str | None, topic: int = 2) -> Line:
    """Sign (and the other run's), value, topic (in so many cells), answer, and the reference where they differ."""
    spans: list[Span] = [(" ", ""), sign_of(brief.verdict, brief.failed)]
    if other:
        spans += [(" ", ""), sign_of(brief.other)]
    value = brief.score if metric is None else brief.values.get(metric)
    figure = "" if value is None else score(value, 2)
    spans += [(f" {right(figure, 5)} ", "dim"), (left(brief.topic, topic) + " ", "accent")]
    room = max(0, width - sum(cell_len(text) for text, _ in spans))
    said = _one_line(brief.said) or "(empty)"
    token = "error" if brief.failed else "dim" if not _one_line(brief.said) else ""
    if brief.verdict == 1 or not brief.reference:
        return (*spans, (cut(said, room), token))
    reference = _one_line(brief.reference)
    kept = max(room - cell_len(reference) - 3, room // 2)
    said = cut(said, kept)
    return (*spans, (said, token), (cut(f" ≠ {reference}", room - cell_len(said)), "dim"))


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def sample_rows(
    sample: Sample, width: int, limit: int, names: tuple[str, str] = ("", ""), flat: Sequence[str] = ()
) -> list[Row]:
    """At most about ``limit`` rows: question, answer (beside the other run's), reference, values, facts.

    Args:
        limit: Of each text.
        names: What the two runs are called.
        flat: The run's collapse alarms; those of this question stand beside its values.
    """
    width = max(8, width)
    rows = [Row(((line, "title"),)) for line in _some(fold(sample.question, width), limit)]
    rows.append(Row(()))
    if sample.other is None:
        rows += _said(sign_of(sample.verdict, sample.error is not None), sample.prediction, sample.error, width, limit)
    else:
        rows += _both(sample, sample.other, width, limit, names)
    if sample.reference:
        rows += _labelled(("=", "good") if sample.verdict == 1 else ("≠", "dim"), sample.reference, "dim", width, limit)
    else:
        rows.append(Row((("  no reference", "dim"),)))
    rows.append(Row(()))
    rows += _values(sample.values, sample.other.values if sample.other else None, width)
    # Of a benchmark the alarm may be of one data set: "DD 21: 100% of …".
    heads = (f"{sample.topic}: ", f"{sample.topic} {sample.category}: ")
    for text in (one for one in flat if one.startswith(heads)):
        rows += [Row(((line, "alarm"),)) for line in fold(f"⚠ collapse: {text}", width)]
    facts = [sample.category or "", sample.topic, sample.id]
    if sample.latency_s is not None:
        facts.insert(2, f"{sample.latency_s:.2f} s")
    if sample.output_tokens is not None:
        facts.insert(2, f"{sample.output_tokens} tokens")
    rows += [Row(((line, "dim"),)) for line in _some(fold(" · ".join(filter(None, facts)), width), limit)]
    return rows


def _both(sample: Sample, other: Other, width: int, limit: int, names: tuple[str, str]) -> list[Row]:
    signs = sign_of(sample.verdict, sample.error is not None), sign_of(other.verdict, other.error is not None)
    if width < _LEAST_COLUMNS:
        rows: list[Row] = []
        for name, sign, text, error in zip(
            names, signs, (sample.prediction, other.prediction), (sample.error, other.error), strict=True
        ):
            rows += [Row(((cut(name, width), "accent"),)), *_said(sign, text, error, width, limit)]
        return rows
    column = (width - 3) // 2
    columns = [
        [Row(((cut(name, column), "accent"),)), *_said(sign, text, error, column, limit)]
        for name, sign, text, error in (
            (names[0], signs[0], sample.prediction, sample.error),
            (names[1], signs[1], other.prediction, other.error),
        )
    ]
    return [
        Row((*_padded(one.line if one else (), column), (" │ ", "dim"), *(two.line if two else ())))
        for one, two in zip_longest(*columns)
    ]


def _padded(line: Line, width: int) -> Line:
    gap = width - sum(cell_len(text) for text, _ in line)
    return (*line, (" " * gap, "")) if gap > 0 else line


def _said(sign: Span, text: str | None, error: str | None, width: int, limit: int) -> list[Row]:
    if error is not None:
        return _labelled(sign, error, "error", width, limit)
    if not (text or "").strip():
        return [Row((sign, (" (empty)", "dim")))]
    return _labelled(sign, text or "", "", width, limit)


def _labelled(sign: Span, text: str, token: str, width: int, limit: int) -> list[Row]:
    lines = _some(fold(text, width - 2), limit)
    return [Row(((sign if at == 0 else (" ", "")), (f" {line}", token))) for at, line in enumerate(lines)]


def _some(lines: Iterable[str], limit: int) -> Iterator[str]:
    """The first ``limit``; then, where there are more, that there are."""
    lines = iter(lines)
    yield from islice(lines, limit)
    if next(lines, None) is not None:
        yield "… more below: scroll on"


def _values(values: Mapping[str, float], other: Mapping[str, float] | None, width: int) -> list[Row]:
    """Each metric's value, of two runs one after the other."""
    names = list(dict.fromkeys([*values, *(other or ())]))
    if not names:
        return [Row((("not scored yet: same words or not", "dim"),))]
    if other is None:
        told = [f"{name} {number(values[name])}" for name in names]
    else:
        told = [f"{name} {number(values.get(name))} and {number(other.get(name))}" for name in names]
    return [Row(((line, ""),)) for line in fold("   ".join(told), width)]


def state_words(wanted: Wanted, metrics: tuple[str, ...], found: int, searching: bool) -> str:
    """What the list holds: ``1,204 · worst cosine first · wrong · Q3``."""
    words = [f"{found:,}{' …' if searching else ''}"]
    if wanted.worst:
        metric = wanted.metric or (metrics[0] if metrics else "")
        words.append(f"worst {metric} first" if metric else "wrong ones first")
    words += {"wrong": ["wrong"], "failed": ["failed"], "differ": [f"unlike #{wanted.other}"]}.get(wanted.only, [])
    words += [one for one in (wanted.topic, wanted.category) if one is not None]
    if wanted.text:
        words.append(f"/{wanted.text}/")
    return " · ".join(words)
