"""What a job would take, as lines of a form: from data to text, nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from backends.estimate.ask import GIB, Answer
from backends.jobs.prospect import Images, Prospect
from fada_tui.format import duration


def prospect_lines(
    found: Prospect, method: str = "", offers: Sequence[str] = (), stated: str | None = None
) -> list[str]:
    """Memory of the card, memory reserved here where that is another, and what the work amounts to.

    Args:
        method: A word on the method, where there is one.
        offers: What would take it, where this machine cannot.
        stated: The VRAM that the note says.
    """
    lines = [fit_words(found.card, stated)]
    if found.here.memory != "VRAM":
        low, likely, high = (end / GIB for end in found.here.interval)
        by = f", by #{found.here.run}" if found.here.run is not None else ""
        words = f"likely {likely:.1f} GiB ({low:.1f} to {high:.1f}{by}) of {found.capacity.total / GIB:.1f}"
        lines.append(f"RAM, as there is no card: {words}")
    if found.refused:
        lines += [f"✗ it cannot be queued here: it {found.refused}", *offers]
    else:
        lines.append(f"reserves {found.reserved / GIB:.2f} GiB of {found.here.memory}: {found.here.source}")
    if method:
        lines.append(method)
    if found.images:
        lines.append(image_words(found.images))
    work = work_words(found)
    return [*lines, work] if work else lines


def fit_words(answer: Answer, stated: str | None = None) -> str:
    """One line: the likely size, the interval, what the note says, and the card."""
    low, likely, high = (end / GIB for end in answer.interval)
    seen = f", by #{answer.run}" if answer.run is not None else ""
    sign = {"fits": "✓ ", "tight": "~ ", "too large": "✗ "}.get(answer.verdict, "")
    note = note_words(stated)
    return f"{sign}VRAM: likely {likely:.1f} GiB ({low:.1f} to {high:.1f}{seen}{note}); {answer.words}"


def note_words(stated: str | None) -> str:
    return f"; the note: {stated}" if stated else ""


def image_words(found: Images) -> str:
    """Tokens of the usual image, and of the largest where it has more."""
    width, height = found.size
    usual, most = found.usual, found.largest
    size = f"{width}×{height}" if found.measured else f"{width}×{height}, assumed"
    more = f"; the largest {most.tokens:,}" if most.tokens > usual.tokens else ""
    across = f" and {usual.crossing:,} looked at across" if usual.crossing else ""
    return f"an image ({size}): {usual.tokens:,} tokens{across}{more}"


def work_words(found: Prospect) -> str:
    """Steps and time; empty where neither the data nor the steps are known."""
    if found.samples is None:
        return ""
    parts = [f"{found.steps:,} steps ({found.samples:,} samples)"] if found.steps else [f"{found.samples:,} questions"]
    if found.seconds is None or found.pace is None:
        parts.append("time: unknown until a run was measured")
    else:
        parts.append(f"about {duration(found.seconds)}, as #{found.pace.run} was")
    return "; ".join(parts)
