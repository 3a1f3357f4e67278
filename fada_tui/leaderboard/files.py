"""A leaderboard as CSV, Markdown, LaTeX and JSON: with intervals, n, floors and alarms, none of them left out."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from backends.leaderboard.entries import Board, Entry
from fada_tui.leaderboard.cells import HEAD, LEGEND, alarm_texts, alarms, cells, heading, name, parts, rank
from fada_tui.text import printable

_COLUMNS = (
    *("kind", "metric", "question", "category", "group", "role", "rank", "rank_low", "rank_high", "model", "run"),
    *(
        "value",
        "ci_low",
        "ci_high",
        "n",
        "answered",
        "failed",
        "empty",
        "unparseable",
        "gain",
        "source",
        "alarms",
        "alarm_texts",
    ),
    *("not_ranked_because", "notes"),
)
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_RIGHT = (3, 5, 6, 7)
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "`": r"\textasciigrave{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "–": "--",
    "—": "---",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "…": r"\ldots{}",
    "←": r"$\leftarrow$",
    "→": r"$\rightarrow$",
    "≠": r"$\neq$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "⚠": r"\textbf{!}",
}
_LATIN = 0x180
"""Letters up to here are in every text font; others are written by their number, so that the table compiles."""


def write(boards: Sequence[Board], form: str) -> str:
    """In one of :data:`FORMATS`; ends in a line end."""
    return FORMATS[form](boards)


# ------------------------------------------------------------- CSV
def to_csv(boards: Sequence[Board]) -> str:
    """One table of all; numbers as they are stored, text that a spreadsheet cannot take for a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for board in boards:
        for part in parts(board):
            for entry in part.entries:
                row = _record(board, part.title, entry)
                writer.writerow([_csv_cell(row[column]) for column in _COLUMNS])
    return out.getvalue()


def _record(board: Board, group: str, entry: Entry) -> dict[str, Any]:
    return {
        "kind": board.kind,
        "metric": board.metric,
        "question": board.question,
        "category": board.category,
        "group": group,
        "role": entry.role,
        "rank": rank(entry) if entry.ranked else None,
        "rank_low": entry.rank.low if entry.rank else None,
        "rank_high": entry.rank.high if entry.rank else None,
        "model": entry.name,
        "run": entry.run,
        "value": entry.value,
        "ci_low": entry.low,
        "ci_high": entry.high,
        "n": entry.n,
        "answered": entry.answered,
        "failed": entry.failed,
        "empty": entry.empty,
        "unparseable": entry.unparseable,
        "gain": entry.gain,
        "source": entry.source,
        "alarms": alarms(entry),
        "alarm_texts": " / ".join(alarm.text for alarm in entry.alarms),
        "not_ranked_because": entry.why,
        "notes": "; ".join(note for note in entry.notes if note),
    }


def _csv_cell(value: object) -> object:
    if not isinstance(value, str):
        return "" if value is None else repr(value) if isinstance(value, float) else value
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


# ------------------------------------------------------------- Markdown
def to_markdown(boards: Sequence[Board]) -> str:
    """A table a group, with the alarms in full below."""
    lines: list[str] = []
    for board in boards:
        lines += [f"## {_markdown(heading(board))}", ""]
        for part in parts(board):
            lines += [f"**{_markdown(part.title)}**", ""]
            lines += [f"{_markdown(text)}  " for text in part.said] + ([""] if part.said else [])
            lines += [_piped(HEAD), _piped(["---:" if at in _RIGHT else "---" for at in range(len(HEAD))])]
            lines += [_piped([_markdown(cell) for cell in cells(board, entry)]) for entry in part.entries]
            lines.append("")
        told = [f"- ⚠ {_markdown(_alarm_line(*one))}" for one in alarm_texts(board)]
        lines += [*told, *([""] if told else []), _markdown(LEGEND), ""]
    return "\n".join(lines).replace("\n\n\n", "\n\n")


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown(text: str) -> str:
    return "".join(f"\\{char}" if char in "\\`*_[]<>|~&" else char for char in printable(text))


def _alarm_line(entry: Entry, alarm: Any) -> str:
    run = f" (#{entry.run})" if entry.run is not None else ""
    return f"{name(entry)}{run}, {alarm.kind}: {alarm.text}"


# ------------------------------------------------------------- LaTeX
def to_latex(boards: Sequence[Board]) -> str:
    """A booktabs table a board; needs the package booktabs."""
    lines = [r"% needs \usepackage{booktabs} and \usepackage[T1]{fontenc}"]
    for board in boards:
        lines += [r"\begin{table}", r"\centering\footnotesize", rf"\caption{{{latex(heading(board))}}}"]
        lines += [r"\begin{tabular}{llrrlrrrp{4.5cm}}", r"\toprule", " & ".join(map(latex, HEAD)) + r" \\"]
        for part in parts(board):
            said = " --- ".join(map(latex, (part.title, *part.said)))
            lines += [r"\midrule", rf"\multicolumn{{{len(HEAD)}}}{{l}}{{\emph{{{said}}}}} \\"]
            lines += [rf"\relax {' & '.join(map(latex, cells(board, entry)))} \\" for entry in part.entries]
        lines += [r"\bottomrule", r"\end{tabular}"]
        told = [latex(_alarm_line(*one)) for one in alarm_texts(board)]
        lines += [rf"\par\footnotesize \textbf{{!}} {text}" for text in told]
        lines += [rf"\par\footnotesize {latex(LEGEND)}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def latex(text: str) -> str:
    """Text as LaTeX shows it, whatever is in it."""
    return "".join(
        _LATEX.get(char) or (char if ord(char) < _LATIN else rf"\texttt{{U+{ord(char):04X}}}")
        for char in printable(text)
    )


# ------------------------------------------------------------- JSON
def to_document(board: Board) -> dict[str, Any]:
    """Everything of a board; the rows in their order."""

    def row(entry: Entry) -> dict[str, Any]:
        found = asdict(entry)
        found |= {"ci_low": found.pop("low"), "ci_high": found.pop("high"), "model": found.pop("name")}
        found |= {"not_ranked_because": found.pop("why") or None}
        return found

    return {
        "kind": board.kind,
        "metric": board.metric,
        "question": board.question,
        "category": board.category,
        "lower_is_better": board.lower_is_better,
        "groups": [
            {"title": group.title, "differs": group.differs, "rows": [row(entry) for entry in group.entries]}
            for group in board.groups
        ],
        "not_ranked": [row(entry) for entry in board.unranked],
        "stated": [row(entry) for entry in board.stated],
        "older_left_out": board.older,
    }


def to_json(boards: Sequence[Board]) -> str:
    import json

    return json.dumps([to_document(board) for board in boards], ensure_ascii=False, indent=2, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Sequence[Board]], str]] = {
    "csv": to_csv,
    "markdown": to_markdown,
    "latex": to_latex,
    "json": to_json,
}
SUFFIXES = {".csv": "csv", ".md": "markdown", ".tex": "latex", ".json": "json"}
"""The format that a file's name asks for."""
